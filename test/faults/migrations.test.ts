import { once } from 'node:events';
import type { Knex } from 'knex';
import type { Emulator } from '../../emulator';
import { FakeClock, passTime } from '../../testbed/fakeClock';
import { lakebaseTests, type TestLakebase } from '../support/lakebase';
import { MINUTE } from '../../testbed/durations';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

const NAMES = ['1_books', '2_authors', '3_loans'];

interface Settings {
  meanwhile?: (knex: Knex) => Promise<unknown>;
  /** As soon as one of a plugin's migrations does without. */
  disableTransactions?: boolean;
}

/** Three migrations, and what is to happen in the middle of the second one. */
const migrations = ({
  meanwhile,
  disableTransactions,
}: Settings = {}): Knex.MigratorConfig => ({
  disableTransactions,
  migrationSource: {
    getMigrations: () => Promise.resolve(NAMES),
    getMigrationName: (name: string) => name,
    getMigration: (name: string) =>
      Promise.resolve({
        up: async (knex: Knex) => {
          await knex.raw('create table if not exists ?? (id int)', name);
          if (name !== '2_authors' || !meanwhile) return;
          await meanwhile(knex);
          await knex.raw('select 1');
        },
        down: () => Promise.resolve(),
      }),
  },
});

async function tablesIn(emulator: Emulator): Promise<string[]> {
  const rows = await emulator.query(
    `select tablename as name from pg_tables
     where schemaname = 'catalog' and tablename like '_\\_%' order by 1`,
  );
  return rows.map(({ name }) => name as string);
}

async function isLocked(emulator: Emulator): Promise<boolean> {
  const [row] = await emulator.query(
    'select is_locked from catalog.knex_migrations_lock',
  );
  return row.is_locked === 1;
}

/** Until it has told of this in its log. */
const logged = ({ lines }: TestLakebase, text: string) =>
  new Promise<void>(resolve => {
    const push = lines.push.bind(lines);
    lines.push = line => {
      if (line.message.startsWith(text)) resolve();
      return push(line);
    };
  });

describe('the server restarts in the middle of a migration', () => {
  it.each(['terminate', 'reset', 'close'] as const)(
    'the start fails, nothing is left half done or locked, and the next start finishes (%s)',
    async how => {
      const emulator = await start.emulator();
      const first = start.lakebase(emulator, schemaMode);
      const knex = await first.getClient('catalog');
      const meanwhile = () => emulator.gateway.dropConnections(how);

      const cutOff = knex.migrate.latest(migrations({ meanwhile }));

      await expect(cutOff).rejects.toThrow();
      await expect(tablesIn(emulator)).resolves.toEqual([]);
      await expect(isLocked(emulator)).resolves.toBe(false);
      await first.stop();
      await finishAtNextStart(emulator);
    },
  );

  it('one without a transaction frees the lock although the server takes a while to come back', async () => {
    const emulator = await start.emulator();
    const first = start.lakebase(emulator, schemaMode);
    const knex = await first.getClient('catalog');
    const meanwhile = async (migrating: Knex) => {
      const statement = migrating.raw('select pg_sleep(20)').then();
      await once(migrating, 'start');
      // It is on its way once the server answers one that came after it.
      await migrating.raw('select 1');
      const back = { wakeDelayMs: 500, while: 'refuse' } as const;
      await Promise.all([statement, emulator.gateway.suspend(back)]);
    };

    const cutOff = knex.migrate.latest(
      migrations({ disableTransactions: true, meanwhile }),
    );

    await expect(cutOff).rejects.toThrow();
    await expect(tablesIn(emulator)).resolves.toEqual(NAMES.slice(0, 2));
    await expect(isLocked(emulator)).resolves.toBe(false);
    await first.stop();
    await finishAtNextStart(emulator);
  });

  it('a lock that could not be freed is told of by the next start, with its cure', async () => {
    const emulator = await start.emulator();
    const settings = { ...schemaMode, lakebase: { connectTimeout: '1s' } };
    const first = start.lakebase(emulator, settings);
    const knex = await first.getClient('catalog');
    const meanwhile = () =>
      emulator.gateway.suspend({ wakeDelayMs: 60_000, while: 'refuse' });
    const cutOff = knex.migrate.latest(
      migrations({ disableTransactions: true, meanwhile }),
    );
    await expect(cutOff).rejects.toThrow();
    await first.stop();
    emulator.gateway.compute.suspend({ wakeDelayMs: 0 });
    const second = start.lakebase(emulator, settings);
    const restarted = await second.getClient('catalog');

    const { message } = await restarted.migrate
      .latest(migrations())
      .then(() => new Error('migrated'))
      .catch((error: Error) => error);

    const [, cure] = /already locked\. .* Run there: (.*)$/s.exec(message)!;
    await emulator.query(cure);
    await finishAtNextStart(emulator);
  });
});

async function finishAtNextStart(emulator: Emulator): Promise<void> {
  const lakebase = start.lakebase(emulator, schemaMode);
  const knex = await lakebase.getClient('catalog');
  await knex.migrate.latest(migrations());
  await expect(tablesIn(emulator)).resolves.toEqual(NAMES);
  await expect(isLocked(emulator)).resolves.toBe(false);
}

describe('a migration takes longer than a credential lives', () => {
  it('is finished by the connection that began it', async () => {
    const clock = new FakeClock();
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode, { clock });
    const knex = await lakebase.getClient('catalog');
    const { logins } = emulator.gateway;
    const rotate = async () => {
      const minted = logged(lakebase, 'Minted');
      await passTime(emulator, clock, 30 * MINUTE);
      await minted;
    };
    const meanwhile = async () => {
      await rotate();
      await rotate();
      await rotate();
    };

    const done = knex.migrate.latest(migrations({ meanwhile }));

    await expect(done).resolves.toEqual([1, NAMES]);
    await expect(isLocked(emulator)).resolves.toBe(false);
    expect(new Set(logins.map(({ tokenId }) => tokenId)).size).toBe(1);
  });
});
