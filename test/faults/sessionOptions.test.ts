import type { Knex } from 'knex';
import { escapeIdentifier } from 'pg';
import type { Emulator } from '../../emulator';
import type { Gateway } from '../../emulator/gateway/gateway';
import { SessionOptions } from '../../src/connections/session';
import { HOUR, SECOND } from '../../testbed/durations';
import { FakeClock, settle } from '../../testbed/fakeClock';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();

type Mode = Gateway['sessionOptions'];
const REFUSING: Mode[] = ['refused', 'closed', 'reset'];

const ASKED = /pg_catalog\.current_setting/;
const SET = /set search_path|set role/i;
const OWNER = 'portal_owner';

async function startBehind(mode: Mode, overrides = {}) {
  const emulator = await start.emulator();
  const { gateway } = emulator;
  gateway.sessionOptions = mode;
  const seen = { options: 0, logins: 0, statements: [] as string[] };
  gateway.on('sessionOptions', () => (seen.options += 1));
  gateway.on('attempt', () => (seen.logins += 1));
  gateway.on('statement', sql => seen.statements.push(sql));
  const clock = new FakeClock();
  const lakebase = start.lakebase(
    emulator,
    {
      pluginDivisionMode: 'schema',
      lakebase: { maxConnectionAge: { hours: 20 } },
      ...overrides,
    },
    { clock },
  );
  return { emulator, gateway, seen, clock, lakebase };
}

/** What each of so many connections, open at once, works in and as whom. */
async function sessionsOf(knex: Knex, count: number): Promise<string[]> {
  const transactions = await Promise.all(
    Array.from({ length: count }, () => knex.transaction()),
  );
  const found = await Promise.all(
    transactions.map(async transaction => {
      const { rows } = await transaction.raw<{ rows: { session: string }[] }>(
        `SELECT current_setting('search_path') || ' ' || current_schema() || ' ' ||
                CASE WHEN current_user = session_user THEN 'login'
                     ELSE current_user END AS session`,
      );
      await transaction.rollback();
      return rows[0].session;
    }),
  );
  return [...new Set(found)];
}

/** Whether this version of Postgres tells the search path at the login. */
async function tellsSearchPath(emulator: Emulator): Promise<boolean> {
  const [row] = await emulator.query('SHOW server_version_num');
  return Number(row.server_version_num) >= 180_000;
}

const matching = (statements: string[], text: RegExp) =>
  statements.filter(sql => text.test(sql));

describe.each<Mode>(['taken', 'unreported'])(
  'an endpoint that takes options with the login (%s)',
  mode => {
    it('has every connection in its schema, without a statement for it', async () => {
      const { emulator, seen, lakebase } = await startBehind(mode);
      const knex = await lakebase.getClient('catalog');

      expect(await sessionsOf(knex, 5)).toEqual(['catalog catalog login']);

      expect(matching(seen.statements, SET)).toEqual([]);
      const told = mode === 'taken' && (await tellsSearchPath(emulator));
      expect(matching(seen.statements, ASKED)).toHaveLength(told ? 0 : 1);
      expect(seen.options).toBe(seen.logins);
    });

    it('has it act as the role', async () => {
      const { emulator, seen, lakebase } = await startBehind(mode, {
        role: OWNER,
      });
      const { clientId } = emulator.servicePrincipal;
      await emulator.query(
        `CREATE ROLE ${OWNER};
         GRANT ${OWNER} TO "${clientId}";
         GRANT CREATE ON DATABASE databricks_postgres TO ${OWNER}`,
      );
      try {
        const knex = await lakebase.getClient('catalog');

        const session = `catalog catalog ${OWNER}`;
        expect(await sessionsOf(knex, 5)).toEqual([session]);

        expect(matching(seen.statements, SET)).toEqual([]);
        // No version of Postgres reports the role.
        expect(matching(seen.statements, ASKED)).toHaveLength(1);
        await knex.raw('DROP SCHEMA catalog');
      } finally {
        await emulator.query(`DROP OWNED BY ${OWNER}; DROP ROLE ${OWNER}`);
      }
    });

    it('gets those of the configuration as well', async () => {
      const { lakebase } = await startBehind(mode, {
        connection: { options: '-c statement_timeout=54321' },
      });
      const knex = await lakebase.getClient('catalog');

      const { rows } = await knex.raw<{ rows: object[] }>(
        'show statement_timeout',
      );

      expect(rows).toEqual([{ statement_timeout: '54321ms' }]);
      expect(await sessionsOf(knex, 2)).toEqual(['catalog catalog login']);
    });

    it.each(REFUSING)('may stop to do so (%s)', async refusing => {
      const { gateway, seen, lakebase } = await startBehind(mode);
      const knex = await lakebase.getClient('catalog');
      gateway.sessionOptions = refusing;
      seen.options = 0;

      expect(await sessionsOf(knex, 2)).toEqual(['catalog catalog login']);
      expect(await sessionsOf(knex, 5)).toEqual(['catalog catalog login']);

      expect(seen.options).toBe(1);
    });

    it('is not blamed for a refused credential', async () => {
      const { gateway, seen, clock, lakebase } = await startBehind(mode);
      clock.skipsPauses = true;
      gateway.refuseNext('expired');

      const knex = await lakebase.getClient('catalog');

      expect(await sessionsOf(knex, 3)).toEqual(['catalog catalog login']);
      expect(seen.options).toBe(seen.logins);
    });
  },
);

describe('an endpoint that reports another search path than before', () => {
  it('is not believed', async () => {
    const { emulator, gateway, lakebase } = await startBehind('taken');
    const knex = await lakebase.getClient('catalog');
    gateway.sessionOptions = 'ignored';
    if (!(await tellsSearchPath(emulator))) return;

    expect(await sessionsOf(knex, 3)).toEqual(['catalog catalog login']);
  });
});

describe('an endpoint that ignores options', () => {
  it('has every connection in its schema, by one statement', async () => {
    const { seen, lakebase } = await startBehind('ignored');
    const knex = await lakebase.getClient('catalog');

    expect(await sessionsOf(knex, 5)).toEqual(['catalog catalog login']);

    expect(seen.options).toBe(1);
    expect(matching(seen.statements, SET)).toHaveLength(seen.logins);
  });
});

describe.each(REFUSING)('an endpoint that refuses options (%s)', mode => {
  it('costs the first connection a second login, and the others nothing', async () => {
    const { seen, lakebase } = await startBehind(mode);
    const knex = await lakebase.getClient('catalog');

    expect(await sessionsOf(knex, 5)).toEqual(['catalog catalog login']);

    expect(seen.options).toBe(1);
    expect(matching(seen.statements, SET)).toHaveLength(seen.logins);
  });

  it('is asked again after an hour', async () => {
    const { gateway, seen, clock, lakebase } = await startBehind(mode);
    const knex = await lakebase.getClient('catalog');
    gateway.sessionOptions = 'taken';

    clock.block(HOUR - SECOND);
    await sessionsOf(knex, 2);
    expect(seen.options).toBe(1);
    clock.block(SECOND);
    await sessionsOf(knex, 3);

    expect(seen.options).toBe(2);
  });
});

it.each([0, 1, 2])(
  'an endpoint may word the refusal in its own way (%d)',
  async variant => {
    const { gateway, lakebase } = await startBehind('refused');
    gateway.variant = { startupOptions: variant };

    const knex = await lakebase.getClient('catalog');

    expect(await sessionsOf(knex, 2)).toEqual(['catalog catalog login']);
  },
);

describe('an endpoint that falls silent at options', () => {
  it('costs the first connection 5 s, and whoever comes meanwhile nothing', async () => {
    const { seen, clock, lakebase } = await startBehind('silent');
    const first = lakebase.getClient('catalog');
    while (seen.options === 0) await settle();

    await lakebase.getClient('search');
    await clock.advance(5 * SECOND);

    expect(await sessionsOf(await first, 3)).toEqual(['catalog catalog login']);
    expect(seen.options).toBe(1);
  });
});

describe('a schema', () => {
  it.each([
    ['user-settings', 'user-settings'],
    ["o'dear", undefined],
    ['a b', undefined],
    ['back\\slash', undefined],
    ['größe', undefined],
  ])('%j is set with the login only where it is plain', (name, plain) => {
    const { options } =
      new SessionOptions(new FakeClock()).of({ searchPath: [name] }) ?? {};

    expect(options).toBe(plain && `-c search_path="${plain}"`);
  });

  it.each(["it's a plugin", 'user-settings', 'Any"'])(
    'may be called %j',
    async name => {
      const { emulator, lakebase } = await startBehind('taken');
      const schema = escapeIdentifier(name);

      const knex = await lakebase.getClient(name);

      try {
        const found = await sessionsOf(knex, 2);
        expect(found).toEqual([`${schema} ${name} login`]);
      } finally {
        await emulator.query(`DROP SCHEMA ${schema}`);
      }
    },
  );

  it.each([[undefined], [[]], [5], ['a,b'], [['a', 5]], [['a', 'b']]])(
    'of another kind (%j) is left to Knex',
    searchPath => {
      const options = new SessionOptions(new FakeClock());

      expect(options.of({ searchPath: searchPath as string })).toBeUndefined();
    },
  );
});
