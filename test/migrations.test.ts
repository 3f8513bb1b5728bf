import { once } from 'node:events';
import type { Knex } from 'knex';
import type { Emulator } from '../emulator';
import { lakebaseTests } from './support/lakebase';
import './support/unhandled';

const start = lakebaseTests();

const SCHEMA_MODE = {
  pluginDivisionMode: 'schema',
  connection: { database: 'databricks_postgres' },
};

/** Migrations that a test has at hand, in place of files. */
const migrations = (
  up: (knex: Knex) => Promise<unknown>,
): Knex.MigratorConfig => ({
  migrationSource: {
    getMigrations: () => Promise.resolve(['one']),
    getMigrationName: () => 'one',
    getMigration: () => Promise.resolve({ up, down: () => Promise.resolve() }),
  },
});

const createBooks = migrations(knex =>
  knex.schema.createTable('books', table => table.increments()),
);

const rowsOf = (emulator: Emulator, table: string) =>
  emulator.query(`select * from catalog.${table}`);

describe('replicas that migrate an empty database at the same moment', () => {
  it('all succeed, and leave it ready for the next start', async () => {
    const emulator = await start.emulator();
    const replicas = Array.from({ length: 4 }, () =>
      start.lakebase(emulator, SCHEMA_MODE),
    );
    const pools = await Promise.all(
      replicas.map(replica => replica.getClient('catalog')),
    );

    await Promise.all(pools.map(pool => pool.migrate.latest(createBooks)));

    await expect(rowsOf(emulator, 'books')).resolves.toEqual([]);
    await expect(rowsOf(emulator, 'knex_migrations_lock')).resolves.toEqual([
      { index: 1, is_locked: 0 },
    ]);
  });
});

describe('a replica that finds another one at its migrations', () => {
  it('waits for their end, which it says once', async () => {
    const emulator = await start.emulator();
    const first = start.lakebase(emulator, SCHEMA_MODE);
    const second = start.lakebase(emulator, SCHEMA_MODE);
    const gate = new EventTarget();
    const opened = once(gate, 'open');
    const reached = once(gate, 'reached');
    const slow = {
      // As soon as one of a plugin's migrations does without.
      disableTransactions: true,
      ...migrations(async () => {
        gate.dispatchEvent(new Event('reached'));
        await opened;
      }),
    };
    const clients = [
      await first.getClient('catalog'),
      await second.getClient('catalog'),
    ];
    const migrating = clients[0].migrate.latest(slow);
    await reached;
    const told = new Promise<void>(resolve => {
      const { lines } = second;
      const push = lines.push.bind(lines);
      lines.push = line => {
        if (line.message.startsWith('Waiting for another')) resolve();
        return push(line);
      };
    });

    const waiting = clients[1].migrate.latest(slow);
    await told;
    gate.dispatchEvent(new Event('open'));

    await expect(migrating).resolves.toEqual([1, ['one']]);
    await expect(waiting).resolves.toEqual([expect.anything(), []]);
    expect(
      second.lines.filter(({ message }) => message.startsWith('Waiting')),
    ).toEqual([
      {
        level: 'info',
        message:
          'Waiting for another process to migrate database ' +
          '"databricks_postgres" ("catalog"."knex_migrations_lock")',
      },
    ]);
  });

  it('tells how to free the lock of one that was killed', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...SCHEMA_MODE,
      lakebase: { connectTimeout: '1s' },
    });
    const knex = await lakebase.getClient('catalog');
    await knex.migrate.latest(createBooks);
    await knex('knex_migrations').delete();
    await knex.schema.dropTable('books');
    await knex('knex_migrations_lock').update({ is_locked: 1 });

    const { message } = await knex.migrate
      .latest(createBooks)
      .then(() => new Error('migrated'))
      .catch((error: Error) => error);

    const [, cure] =
      /^Migration table is already locked\. .* Run there: (.*)$/s.exec(
        message,
      )!;
    await emulator.query(cure);
    await expect(knex.migrate.latest(createBooks)).resolves.toEqual([
      1,
      ['one'],
    ]);
  });
});
