import { once } from 'node:events';
import type { Knex } from 'knex';
import type { Emulator } from '../../emulator';
import { FakeClock, passTime, settle } from '../../testbed/fakeClock';
import { useAtOnce } from '../support/faultyNetwork';
import {
  freeConnections,
  killSessions,
  lakebaseTests,
  queryInParallel,
} from '../support/lakebase';
import { MINUTE } from '../../testbed/durations';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

const manners = ['terminate', 'reset', 'close'] as const;
type Manner = (typeof manners)[number];

async function pidOf(knex: Knex) {
  const { rows } = await knex.raw<{ rows: { pid: number }[] }>(
    'select pg_backend_pid() as pid',
  );
  return rows[0].pid;
}

/** Ends all sessions, and waits until those that are idle know it. */
async function restart(emulator: Emulator, knex: Knex, how: Manner) {
  // Who has its answer gives its connection back a moment later.
  await settle();
  const ended = freeConnections(knex).map(
    connection => new Promise(resolve => connection.once('end', resolve)),
  );
  await emulator.gateway.dropConnections(how);
  await Promise.all(ended);
}

async function untilAsleep(emulator: Emulator): Promise<void> {
  const sleeping = `select from pg_stat_activity where wait_event = 'PgSleep'`;
  while ((await emulator.query(sleeping)).length === 0);
}

describe.each(manners)('the server restarts, ending connections by %s', how => {
  async function startClient() {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    return { emulator, knex: await lakebase.getClient('catalog') };
  }

  it('the query after those that were idle gets its answer', async () => {
    const { emulator, knex } = await startClient();
    await queryInParallel(knex, 5);

    await restart(emulator, knex, how);

    await queryInParallel(knex, 5);
  });

  it('a transaction fails, and the next one goes through', async () => {
    const { emulator, knex } = await startClient();

    const cutOff = knex.transaction(async transaction => {
      await transaction.raw('select 1');
      await restart(emulator, knex, how);
      await transaction.raw('select 1');
    });

    await expect(cutOff).rejects.toThrow();
    await knex.transaction(transaction => transaction.raw('select 1'));
  });

  it('a query that runs fails, and the next one gets its answer', async () => {
    const { emulator, knex } = await startClient();
    const cutOff = knex.raw('select pg_sleep(20)').then();
    await untilAsleep(emulator);

    const restarted = emulator.gateway.dropConnections(how);

    await expect(cutOff).rejects.toThrow();
    await expect(knex.raw('select 1')).resolves.toBeDefined();
    await restarted;
  });
});

describe('the server ends connections of a certain age', () => {
  it('they are replaced before, one after the other, and no query notices', async () => {
    const clock = new FakeClock();
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode, { clock });
    const knex = await lakebase.getClient('catalog');
    const draws = [0, 0.3, 0.6];
    clock.random = () => draws.shift() ?? 0.5;
    const loginsAfter = async (ms: number) => {
      await passTime(emulator, clock, ms);
      await useAtOnce(knex, 4);
      return emulator.gateway.logins.length;
    };

    const logins = [
      await loginsAfter(0),
      await loginsAfter(40 * MINUTE),
      await loginsAfter(3 * MINUTE),
      await loginsAfter(3 * MINUTE),
    ];

    expect(logins).toEqual([4, 4, 6, 8]);
  });
});

describe('the endpoint lets in fewer connections than the pools may open', () => {
  it('maxConnections makes queries wait instead of being refused', async () => {
    const emulator = await start.emulator();
    // A connection counts there for a moment after it has ended here.
    emulator.gateway.connectionLimit = 24;
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { maxConnections: 20 },
    });
    const ids = Array.from({ length: 10 }, (_, i) => `plugin${i}`);
    const pools = await Promise.all(ids.map(id => lakebase.getClient(id)));
    const held = await Promise.all(
      [...pools, ...pools].map(knex => knex.transaction()),
    );
    const dialled = jest.fn();
    emulator.gateway.on('connection', dialled);

    const queries = pools.map(knex => queryInParallel(knex, 5));
    await Promise.all(held.map(transaction => transaction.raw('select 1')));
    const dialledInVain = dialled.mock.calls.length;
    await Promise.all(held.map(transaction => transaction.rollback()));

    const rows = await Promise.all(queries);
    expect(rows.flat()).toHaveLength(50);
    expect(dialledInVain).toBe(0);
    expect(emulator.gateway.refusals).toEqual([]);
  });
});

describe('another client has taken all connections of the database', () => {
  async function startBesideAnother(connectTimeout: string) {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { connectTimeout },
    });
    const knex = await lakebase.getClient('catalog');
    await emulator.query(
      'alter database databricks_postgres connection limit 2',
    );
    await killSessions(emulator, knex);
    const other = start.lakebase(emulator, schemaMode);
    const otherKnex = await other.getClient('catalog');
    const taken = [
      await otherKnex.transaction(),
      await otherKnex.transaction(),
    ];
    const leave = async () => {
      await Promise.all(taken.map(transaction => transaction.rollback()));
      await other.stop();
    };
    return { emulator, knex, leave };
  }

  it('a query waits until it leaves', async () => {
    const { emulator, knex, leave } = await startBesideAnother('20s');

    const query = knex.raw('select 1').then();
    await once(emulator.gateway, 'refusal');
    await leave();

    await expect(query).resolves.toBeDefined();
    expect(emulator.gateway.refusals).toContainEqual(
      expect.objectContaining({ kind: 'upstream', code: '53300' }),
    );
  });

  it('a query fails at connectTimeout, told what to do, and works once it has left', async () => {
    const { knex, leave } = await startBesideAnother('1s');

    await expect(knex.raw('select 1')).rejects.toMatchObject({
      code: 'connect-timeout',
      message: expect.stringMatching(
        /has no connection left\. Lower .*knexConfig\.pool\.max.*too many connections/s,
      ) as string,
    });

    await leave();
    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });
});

describe('the server takes no writes after a failover', () => {
  const readOnly = (emulator: Emulator, mode: 'on' | 'off') =>
    emulator.query(
      `alter role "${emulator.servicePrincipal.clientId}"
       set default_transaction_read_only to ${mode}`,
    );

  it('a write is told why, reads go on, and no connection stays there for long', async () => {
    const clock = new FakeClock();
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode, { clock });
    const knex = await lakebase.getClient('catalog');
    await knex.schema.createTable('books', table => table.increments());
    await readOnly(emulator, 'on');
    await killSessions(emulator, knex);

    await expect(knex('books').insert({})).rejects.toMatchObject({
      code: '25006',
      message: expect.stringMatching(
        /read-only transaction\. .*lakebase\.endpoint.*read-write endpoint/,
      ) as string,
    });
    await expect(knex('books')).resolves.toEqual([]);

    await readOnly(emulator, 'off');
    await passTime(emulator, clock, 46 * MINUTE);
    await knex('books').insert({});
    await expect(knex('books')).resolves.toHaveLength(1);
  });
});

describe('sessions are left on a server that takes no more writes', () => {
  it('each of them fails one write at most, and the next one gets through', async () => {
    const emulator = await start.emulator();
    const { clientId } = emulator.servicePrincipal;
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');
    await knex.schema.createTable('books', table => table.increments());
    await emulator.query(
      `alter role "${clientId}" set default_transaction_read_only to on`,
    );
    await killSessions(emulator, knex);
    await knex('books');
    await emulator.query(`alter role "${clientId}" reset all`);

    await expect(knex('books').insert({})).rejects.toMatchObject({
      code: '25006',
    });

    await knex('books').insert({});
    await expect(knex('books')).resolves.toHaveLength(1);
  });
});

describe('the disk of the server is full', () => {
  it('a write fails with what the server said, and the pool keeps its connection', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');
    await knex.schema.createTable('books', table => table.increments());
    await emulator.query(
      `create function refuse() returns trigger language plpgsql as $$
         begin
           raise 'could not extend file: No space left on device'
             using errcode = '53100', hint = 'Check free disk space.';
         end $$;
       create trigger full_disk before insert on catalog.books
         execute function refuse()`,
    );
    const before = await pidOf(knex);

    await expect(knex('books').insert({})).rejects.toMatchObject({
      code: '53100',
      message: expect.stringMatching(
        /could not extend file: No space left on device$/,
      ) as string,
      hint: 'Check free disk space.',
    });

    await expect(pidOf(knex)).resolves.toBe(before);
    await emulator.query('drop trigger full_disk on catalog.books');
    await knex('books').insert({});
    expect(emulator.gateway.logins).toHaveLength(1);
  });
});
