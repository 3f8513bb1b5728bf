import { Client } from 'pg';
import { isScrubbed, scrubDatabase } from '../../src/branches/scrub';
import type { Session } from '../../src/branches/marks';
import { PLUGIN_TABLES } from '../../src/branches/scrubRules';
import type { Emulator } from '../../emulator';
import { migrationsOf } from '../../testbed/pluginMigrations';
import { copyablePostgres } from '../support/copyablePostgres';
import { lakebaseTests } from '../support/lakebase';

const PROJECT = 'projects/backstage';
const COPY = `${PROJECT}/branches/copy`;

const copyable = copyablePostgres();
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map(end => end()));
});

// Its own check comes after the connections here have ended.
const start = lakebaseTests();

const PLUGINS = [
  'auth',
  'events',
  'notifications',
  'scaffolder',
  'user-settings',
];

/** Production with the tables of real plugins, and something in each of them. */
async function startProduction(plugins = PLUGINS) {
  const emulator = await start.emulator(copyable());
  const lakebase = start.lakebase(emulator, { pluginDivisionMode: 'schema' });
  for (const plugin of plugins) {
    const knex = await lakebase.getClient(plugin);
    await knex.migrate.latest({ directory: migrationsOf(plugin) });
  }
  return { emulator, lakebase };
}

/** Puts a row into each table that has a rule, whatever its columns are. */
const FILL = `
  DO $$
  DECLARE
    found record;
    columns text;
    given text;
  BEGIN
    SET LOCAL session_replication_role = replica;
    FOR found IN
      SELECT c.oid, n.nspname, c.relname FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND n.nspname = ANY (string_to_array(current_setting('test.schemas'), ','))
        AND c.relname NOT LIKE '%knex_migrations%'
    LOOP
      SELECT string_agg(quote_ident(attname), ','),
             string_agg(CASE
               WHEN attname = 'status' AND found.relname = 'tasks' THEN '''processing'''
               WHEN attname = 'status' THEN '''pending'''
               WHEN typname = 'uuid' THEN 'gen_random_uuid()'
               WHEN typname IN ('timestamptz', 'timestamp', 'date') THEN 'now()'
               WHEN typname = 'bool' THEN 'true'
               WHEN typname IN ('json', 'jsonb') THEN '''{}'''
               WHEN typname = 'bytea' THEN '''\\x00'''
               WHEN typname LIKE 'int%' THEN '1'
               WHEN typname LIKE '\\_%' THEN '''{}'''
               ELSE '''x''' END, ',')
      INTO columns, given
      FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
      WHERE attrelid = found.oid AND attnum > 0 AND NOT attisdropped
        AND attgenerated = '' AND attidentity = '';
      EXECUTE format('INSERT INTO %I.%I (%s) VALUES (%s)',
                     found.nspname, found.relname, columns, given);
    END LOOP;
  END $$`;

async function fill(emulator: Emulator, schemas: string[]): Promise<void> {
  await emulator.query(`SET test.schemas = '${schemas.join(',')}'; ${FILL}`);
}

async function makeCopy(emulator: Emulator): Promise<string> {
  const { controlPlane } = emulator;
  controlPlane.branchChanges.create(PROJECT, 'copy', { no_expiry: true });
  await controlPlane.operations.settled();
  return controlPlane.catalog.branch(COPY).host!;
}

async function sessionAt(emulator: Emulator, host: string): Promise<Session> {
  const { clientId } = emulator.servicePrincipal;
  const { token } = await emulator.controlPlane.authority.mint(
    clientId,
    3_600_000,
  );
  const client = new Client({
    host,
    port: emulator.gateway.port,
    user: clientId,
    password: token,
    database: 'databricks_postgres',
    ssl: { ca: emulator.ca.cert },
  });
  client.on('error', () => {});
  await client.connect();
  ends.push(() => client.end());
  return {
    rows: async <Row extends object>(sql: string, values?: unknown[]) =>
      (await client.query<Row & object>(sql, values)).rows,
  };
}

async function bothSides(emulator: Emulator) {
  return {
    name: 'databricks_postgres',
    pluginOf: (schema: string) => schema,
    copy: await sessionAt(emulator, await makeCopy(emulator)),
    source: await sessionAt(emulator, emulator.gateway.host),
  };
}

async function contents(session: Session, schemas: string[]) {
  const found: Record<string, unknown> = {};
  const tables = await session.rows<{ name: string }>(
    `SELECT format('%I.%I', nspname, relname) AS name FROM pg_class
     JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relkind = 'r' AND nspname = ANY ($1) ORDER BY 1`,
    [schemas],
  );
  for (const { name } of tables) {
    const [{ rows }] = await session.rows<{ rows: string }>(
      `SELECT coalesce(json_agg(t)::text, '') AS rows FROM ${name} t`,
    );
    found[name] = rows;
  }
  return found;
}

describe('a scrubbed copy', () => {
  const schemas = PLUGINS;

  it('has lost what each rule is about, and production nothing', async () => {
    const { emulator } = await startProduction();
    await fill(emulator, schemas);
    const database = await bothSides(emulator);
    const before = await contents(database.source, schemas);

    const done = await scrubDatabase(database, []);

    const after = await contents(database.copy, schemas);
    const ruled = done.map(({ schema, table, rows }) => ({
      name: `${schema}.${table}`,
      rows,
    }));
    expect(ruled.every(({ rows }) => rows === 1)).toBe(true);
    expect(await contents(database.source, schemas)).toEqual(before);
    const left = Object.entries(after).filter(
      ([name, rows]) => rows !== '' && rows === before[name],
    );
    expect(left.map(([name]) => name).sort()).toEqual(
      [
        ...schemas.flatMap(schema =>
          ['knex_migrations', 'knex_migrations_lock'].map(
            table => `${/-/.test(schema) ? `"${schema}"` : schema}.${table}`,
          ),
        ),
        'scaffolder.task_events',
      ].sort(),
    );
    const [task] = await database.copy.rows(
      'SELECT secrets, state, workspace, status FROM scaffolder.tasks',
    );
    expect(task).toEqual({
      secrets: null,
      state: null,
      workspace: null,
      status: 'cancelled',
    });
    // As in a table that is new: an event's number tells which came before.
    const [{ number }] = await database.copy.rows<{ number: string }>(
      `SELECT nextval('events.event_bus_events_id_seq')::text AS number`,
    );
    expect(number).toBe('1');
    expect(await isScrubbed(database.copy)).toBe(true);
    expect(await isScrubbed(database.source)).toBe(false);
  });

  it('is scrubbed again without harm', async () => {
    const { emulator } = await startProduction(['auth']);
    await fill(emulator, ['auth']);
    const database = await bothSides(emulator);

    await scrubDatabase(database, []);
    const again = await scrubDatabase(database, []);

    expect(again.map(({ rows }) => rows).every(rows => rows === 0)).toBe(true);
  });
});

describe('nothing is scrubbed', () => {
  it('where the copy is its own source', async () => {
    const { emulator } = await startProduction(['auth']);
    await fill(emulator, ['auth']);
    const one = {
      name: 'databricks_postgres',
      pluginOf: (schema: string) => schema,
      copy: await sessionAt(emulator, emulator.gateway.host),
      source: await sessionAt(emulator, emulator.gateway.host),
    };

    await expect(scrubDatabase(one, [])).rejects.toMatchObject({
      code: 'branch-refused',
    });
    expect(await isScrubbed(one.source)).toBe(false);
    const rows = await one.source.rows('SELECT FROM auth.user_info');
    expect(rows).toHaveLength(1);
  });

  it('where a table is not known that may hold secrets', async () => {
    const { emulator, lakebase } = await startProduction(['auth']);
    await fill(emulator, ['auth']);
    const knex = await lakebase.getClient('acme');
    await knex.raw('CREATE TABLE vault (id int, api_key text)');
    await knex.raw('CREATE TABLE notes (id int, body text)');
    const database = await bothSides(emulator);

    await expect(scrubDatabase(database, [])).rejects.toThrow(
      /acme: acme\.vault \(api_key\).*--allow-unknown/,
    );
    expect(await database.copy.rows('SELECT FROM auth.user_info')).toHaveLength(
      1,
    );

    const done = await scrubDatabase(database, ['acme']);
    expect(done.map(({ plugin }) => plugin)).not.toContain('acme');
  });

  it('where its connection breaks half-way', async () => {
    const { emulator } = await startProduction(['auth', 'user-settings']);
    await fill(emulator, ['auth', 'user-settings']);
    const database = await bothSides(emulator);
    const { copy } = database;
    const breaking: Session = {
      rows: async (sql, values) => {
        if (/TRUNCATE/.test(sql)) {
          await emulator.gateway.dropConnections('reset');
        }
        return copy.rows(sql, values);
      },
    };

    await expect(
      scrubDatabase({ ...database, copy: breaking }, []),
    ).rejects.toThrow();

    const left = await emulator.queryBranch(
      COPY,
      `SELECT (SELECT count(*)::int FROM auth.user_info) AS users,
              (SELECT count(*)::int FROM backstage_lakebase.marks
               WHERE name = 'scrubbed') AS marks`,
    );
    expect(left).toEqual([{ users: 1, marks: 0 }]);
  });
});

it('every table of the plugins that are installed has a word', async () => {
  const { emulator } = await startProduction();
  const found = await emulator.query(
    `SELECT nspname, relname FROM pg_class
     JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relkind = 'r' AND nspname = ANY ($1)
       AND relname NOT LIKE '%knex_migrations%'`,
    [PLUGINS],
  );
  const unknown = found.filter(
    ({ nspname, relname }) =>
      !PLUGIN_TABLES[nspname as string].tables[relname as string],
  );

  expect(found.length).toBeGreaterThan(8);
  expect(unknown).toEqual([]);
});
