import { once } from 'node:events';
import { dirname } from 'node:path';
import type { Knex } from 'knex';
import type { Emulator } from '../../emulator';
import { temporaryFiles } from '../support/appConfig';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();
const files = temporaryFiles();

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

const CREATE_BOOKS = `
  exports.up = knex => knex.schema.createTable('books', t => t.increments());
  exports.down = knex => knex.schema.dropTable('books');`;

const rowsOf = (emulator: Emulator, table: string) =>
  emulator.query(`select * from catalog.${table}`);

describe('the tables that Knex keeps its migrations in', () => {
  it('are those that it makes itself', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, SCHEMA_MODE);
    const ours = await lakebase.getClient('catalog');
    const knexs = await lakebase.getClient('search');
    const tables = (schema: string) =>
      emulator.query(
        `SELECT table_name, column_name, column_default IS NOT NULL AS counts,
           data_type, character_maximum_length, is_nullable,
           (SELECT string_agg(replace(indexdef, $1, ''), ';') FROM pg_indexes
            WHERE schemaname = $1 AND tablename = table_name) AS indexes
         FROM information_schema.columns
         WHERE table_schema = $1 AND table_name LIKE 'knex%'
         ORDER BY table_name, ordinal_position`,
        [schema],
      );

    await ours.migrate.latest(createBooks);
    await knexs.migrate.list(createBooks);

    const made = await tables('catalog');
    expect(made).toHaveLength(6);
    expect(made).toEqual(await tables('search'));
  });

  it('have their usual name where a plugin leaves it undefined', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, SCHEMA_MODE);
    const knex = await lakebase.getClient('catalog');

    await knex.migrate.latest({ ...createBooks, tableName: undefined });

    await expect(rowsOf(emulator, 'knex_migrations')).resolves.toHaveLength(1);
  });

  it.each([
    ['a schema that is missing', { schemaName: 'nowhere' }, '3F000'],
    ['a schema of somebody else', { schemaName: 'theirs' }, '42501'],
  ])('are missed in words of Knex in %s', async (_, where, code) => {
    const emulator = await start.emulator();
    await emulator.query('create schema theirs');
    const lakebase = start.lakebase(emulator, SCHEMA_MODE);
    const knex = await lakebase.getClient('catalog');

    const refused = knex.migrate.latest({ ...createBooks, ...where });

    await expect(refused).rejects.toMatchObject({
      code,
      message: expect.stringMatching(
        /^create table .*"knex_migrations".* - /,
      ) as string,
    });
  });
});

describe('migrations of which none is left', () => {
  it('take no turn, and so wait for nobody', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, SCHEMA_MODE);
    const knex = await lakebase.getClient('catalog');
    const config = { directory: dirname(files.file('one.js', CREATE_BOOKS)) };
    await knex.migrate.latest(config);
    await knex('knex_migrations_lock').update({ is_locked: 1 });

    const migrated: unknown = await knex.migrate.latest(config);

    expect(migrated).toEqual([1, []]);
  });

  it('still have to have their files, as those of a newer release have not', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, SCHEMA_MODE);
    const knex = await lakebase.getClient('catalog');
    const file = files.file('one.js', CREATE_BOOKS);
    await knex.migrate.latest({ directory: dirname(file) });

    await expect(
      knex.migrate.latest({ directory: files.folder() }),
    ).rejects.toThrow('The migration directory is corrupt');
  });
});

describe('tables of another schema with the names that Knex uses', () => {
  it('are left alone', async () => {
    const emulator = await start.emulator();
    await emulator.query('CREATE TABLE public.knex_migrations (batch integer)');
    await emulator.query('INSERT INTO public.knex_migrations VALUES (7)');
    const lakebase = start.lakebase(emulator, {
      ...SCHEMA_MODE,
      knexConfig: { searchPath: ['', 'public'] },
    });
    const knex = await lakebase.getClient('catalog');

    const migrated: unknown = await knex.migrate.latest(createBooks);

    expect(migrated).toEqual([1, ['one']]);
    await expect(rowsOf(emulator, 'books')).resolves.toEqual([]);
  });
});

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
