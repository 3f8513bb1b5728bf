import type { JsonObject } from '@backstage/types';
import { toAdminDatabase } from '../../src/config/pluginDatabase';
import { CANARY, checkAtStart, catchRefusal } from '../support/appConfig';

const read = (database: JsonObject, pluginId = 'catalog') =>
  checkAtStart(database).forPlugin(pluginId)!.database;

const schemaMode = { pluginDivisionMode: 'schema' };

describe('a connection', () => {
  it('has what the operator left out', () => {
    expect(read({}).connection).toEqual({
      application_name: 'backstage_plugin_catalog',
      database: 'backstage_plugin_catalog',
      port: 5432,
      ssl: { rejectUnauthorized: true },
      keepAlive: true,
      keepAliveInitialDelayMillis: 30_000,
    });
  });

  it('has what the operator set, under the plugin before the base', () => {
    const { connection } = read({
      connection: {
        host: 'base.example.com',
        user: 'base',
        port: '5433',
        statement_timeout: 1_000,
      },
      plugin: {
        catalog: { connection: { user: 'own', application_name: 'mine' } },
      },
    });
    expect(connection).toMatchObject({
      host: 'base.example.com',
      user: 'own',
      port: 5433,
      statement_timeout: 1_000,
      application_name: 'mine',
    });
  });

  it('goes past the local proxy, which others are led to', () => {
    const { connection } = read({
      connection: {
        host: '/run/backstage',
        port: 5434,
        ssl: false,
        statement_timeout: 1_000,
      },
      lakebase: { localProxy: true },
    });
    expect(connection).not.toHaveProperty('host');
    expect(connection).toMatchObject({
      port: 5432,
      ssl: { rejectUnauthorized: true },
      statement_timeout: 1_000,
    });
  });

  it('goes where the module alone is told to', () => {
    const { connection } = read({
      connection: { host: '/run/backstage', port: 5434 },
      lakebase: {
        localProxy: true,
        connection: { host: 'tunnel.example.com', ssl: { servername: 'ep' } },
      },
    });
    expect(connection).toMatchObject({
      host: 'tunnel.example.com',
      port: 5432,
      ssl: { servername: 'ep', rejectUnauthorized: true },
    });
  });

  it('does not do without verified TLS there either', () => {
    const lakebase = { connection: { host: 'ep.example.com', ssl: false } };

    expect(catchRefusal(() => read({ lakebase }))).toContain(
      'backend.database.lakebase.connection.ssl',
    );
  });

  it('may be written as a connection string', () => {
    const connection =
      'postgresql://me%40example.com@base.example.com/main?application_name=x';
    expect(read({ connection, ...schemaMode }).connection).toMatchObject({
      host: 'base.example.com',
      port: 5432,
      user: 'me@example.com',
      database: 'main',
      application_name: 'x',
      ssl: { rejectUnauthorized: true },
    });
    const plugin = { catalog: { connection } };
    expect(read({ plugin }).connection).toMatchObject({
      host: 'base.example.com',
      database: 'main',
    });
  });

  it.each([0, 65_536, 5432.5, 'many'])('may not have port %s', port => {
    expect(catchRefusal(() => read({ connection: { port } }))).toContain(
      'backend.database.connection.port must be a number from 1 to 65535',
    );
  });

  it.each([
    ['unreadable', `postgresql://me:${CANARY}@base:many/main`],
    ['without its CA', 'postgresql://base/main?sslrootcert=/no/ca'],
  ])('string that is %s is refused with its key', (_, connection) => {
    expect(catchRefusal(() => read({ connection }))).toContain(
      'backend.database.connection',
    );
    const plugin = { catalog: { connection } };
    expect(catchRefusal(() => read({ plugin }))).toContain(
      'backend.database.plugin.catalog.connection',
    );
  });
});

describe('values of a wrong type', () => {
  it.each([
    [{ connection: { host: 10 } }, 'connection.host must be a string'],
    [{ connection: { user: 77 } }, 'connection.user must be a string'],
    [
      { connection: { database: 2024 } },
      'connection.database must be a string',
    ],
    [{ knexConfig: { pool: { max: '20' } } }, 'knexConfig.pool.max must not'],
  ])('are refused at start with their key', (database, reason) => {
    const plugin = { search: database };
    expect(catchRefusal(() => checkAtStart({ plugin }))).toContain(
      reason.startsWith('connection')
        ? `backend.database.plugin.search.${reason}`
        : `backend.database.${reason}`,
    );
  });
});

describe('another way to log in beside the block', () => {
  const password = { host: 'x.example.com', password: CANARY };
  it.each<[string, string | JsonObject, string]>([
    ['a password', password, 'connection holds a password'],
    [
      'a password in a string',
      `postgresql://me:${CANARY}@x.example.com/main`,
      'connection holds a password',
    ],
    [
      'a password in the query of a string',
      `postgresql://x.example.com/main?password=${CANARY}`,
      'connection holds a password',
    ],
    ['the type azure', { type: 'azure' }, "connection.type is 'azure'"],
    ['the type rds', { type: 'rds' }, "connection.type is 'rds'"],
    [
      'a string inside of the object',
      { connectionString: `postgresql://me:${CANARY}@x.example.com/main` },
      'connection.connectionString',
    ],
  ])('is refused at start: %s', (_, connection, reason) => {
    const base = catchRefusal(() => checkAtStart({ connection }));
    expect(base).toContain(`backend.database.${reason}`);
    expect(base).toContain('emove');

    const plugin = { search: { connection } };
    expect(catchRefusal(() => checkAtStart({ plugin }))).toContain(
      `backend.database.plugin.search.${reason}`,
    );
  });

  it('is no objection when it is empty', () => {
    const connection = { type: 'default', password: '' };
    checkAtStart({ connection });
    expect(read({ connection }).connection).not.toHaveProperty('password');
    expect(read({ connection }).connection).not.toHaveProperty('type');
  });

  it('does not slip in through knexConfig', () => {
    const knexConfig = { connection: { password: CANARY, ssl: false } };
    const plugin = { catalog: { knexConfig } };
    const { knexConfig: result } = read({ knexConfig, plugin });
    expect(result).not.toHaveProperty('connection');
  });
});

describe('with one database per plugin', () => {
  it('the name is a prefix and the plugin id, whatever the base says', () => {
    const connection = { database: 'base' };
    expect(read({ connection }).connection.database).toBe(
      'backstage_plugin_catalog',
    );
    expect(read({ connection, prefix: 'my-' }).connection.database).toBe(
      'my-catalog',
    );
  });

  it('the name of a plugin is its own', () => {
    const plugin = { catalog: { connection: { database: 'own' } } };
    expect(read({ plugin, prefix: 'my-' }).connection.database).toBe('own');
  });

  it('no schema is set', () => {
    const { knexConfig, ensureSchema } = read({ ensureSchemaExists: true });
    expect(knexConfig.searchPath).toBeUndefined();
    expect(ensureSchema).toBeUndefined();
  });
});

describe('with one schema per plugin', () => {
  it('all share the database of the base, or databricks_postgres', () => {
    const connection = { database: 'base' };
    const database = { ...schemaMode, connection };
    expect(read(database).connection.database).toBe('base');
    expect(read(schemaMode).connection.database).toBe('databricks_postgres');
  });

  it('the schema is named after the plugin, with a prefix if wanted', () => {
    expect(read(schemaMode)).toMatchObject({
      ensureSchema: 'catalog',
      knexConfig: { searchPath: ['catalog'] },
    });
    expect(read({ ...schemaMode, schemaPrefix: 'bs_' })).toMatchObject({
      ensureSchema: 'bs_catalog',
      knexConfig: { searchPath: ['bs_catalog'] },
    });
  });

  it('a search path in knexConfig does not move the tables elsewhere', () => {
    const knexConfig = { searchPath: ['public'] };
    const result = read({ ...schemaMode, knexConfig }).knexConfig;
    expect(result.searchPath).toEqual(['catalog']);
  });

  it('a name longer than Postgres keeps is refused', () => {
    const schemaPrefix = 'x'.repeat(56);
    expect(read({ ...schemaMode, schemaPrefix }).ensureSchema).toHaveLength(63);
    const message = catchRefusal(() =>
      read({ ...schemaMode, schemaPrefix }, 'catalogs'),
    );
    expect(message).toContain(`'${schemaPrefix}catalogs'`);
    expect(message).toContain('Shorten backend.database.schemaPrefix');
  });

  it.each(['my-', '1st', 'é', 'a b', '"x'])(
    'the prefix %s is refused',
    schemaPrefix => {
      expect(
        catchRefusal(() => read({ ...schemaMode, schemaPrefix })),
      ).toContain('backend.database.schemaPrefix');
    },
  );
});

describe('what is created', () => {
  it.each([
    [{}, true, 'catalog'],
    [{ ensureExists: false }, false, undefined],
    [{ ensureExists: false, ensureSchemaExists: true }, false, 'catalog'],
    [
      { ensureExists: false, plugin: { catalog: { ensureExists: true } } },
      true,
      'catalog',
    ],
    [{ plugin: { catalog: { ensureExists: false } } }, false, undefined],
  ])('follows %j', (database, ensureDatabase, ensureSchema) => {
    const result = read({ ...schemaMode, ...database });
    expect(result).toMatchObject({ ensureDatabase });
    expect(result.ensureSchema).toBe(ensureSchema);
  });

  it('is created from the admin database, by one connection', () => {
    const { database, endpoint } = checkAtStart({
      connection: { host: 'x.example.com', database: 'base' },
      lakebase: { adminDatabase: 'admin' },
      role: 'owner',
      knexConfig: { pool: { min: 5 } },
    }).forPlugin('catalog')!;
    expect(toAdminDatabase(database, endpoint)).toMatchObject({
      connection: {
        host: 'x.example.com',
        database: 'admin',
        ssl: { rejectUnauthorized: true },
      },
      role: 'owner',
      ensureDatabase: false,
      knexConfig: { client: 'pg', pool: { min: 0, max: 1 } },
    });
  });
});

it('a role belongs to a plugin before it belongs to all', () => {
  const database = { role: 'all', plugin: { catalog: { role: 'own' } } };
  expect(read(database).role).toBe('own');
  expect(read(database, 'search').role).toBe('all');
  expect(read({}).role).toBeUndefined();
});

it('migrations are skipped for a plugin, for all, or for none', () => {
  const plugin = { catalog: { skipMigrations: false } };
  const skips = (database: JsonObject, pluginId: string) =>
    read(database, pluginId).skipMigrations;
  expect(skips({ skipMigrations: true, plugin }, 'catalog')).toBe(false);
  expect(skips({ skipMigrations: true, plugin }, 'search')).toBe(true);
  expect(skips({}, 'search')).toBe(false);
});

describe('a pool', () => {
  it('keeps no idle connections and outwaits connectTimeout', () => {
    const result = read({ lakebase: { connectTimeout: '20s' } });
    expect(result.connectTimeoutMs).toBe(20_000);
    expect(result.knexConfig).toMatchObject({
      client: 'pg',
      useNullAsDefault: true,
      pool: {
        min: 0,
        createTimeoutMillis: 25_000,
        acquireTimeoutMillis: 30_000,
      },
    });
  });

  it('has what the operator set, under the plugin before the base', () => {
    const { knexConfig, connectTimeoutMs } = read({
      knexConfig: {
        debug: true,
        pool: { min: 1, max: 5, acquireTimeoutMillis: 90_000 },
      },
      plugin: { catalog: { knexConfig: { pool: { max: 20 } } } },
    });
    expect(knexConfig).toMatchObject({
      debug: true,
      pool: { min: 1, max: 20, acquireTimeoutMillis: 90_000 },
    });
    expect(connectTimeoutMs).toBe(60_000);
  });

  it.each([
    [{ pool: { acquireTimeoutMillis: 20_000 } }, 19_000],
    [{ pool: { createTimeoutMillis: 15_000 } }, 14_000],
    [{ acquireConnectionTimeout: 10_000 }, 9_000],
    [{ pool: { acquireTimeoutMillis: 1_500 } }, 750],
  ])('with %j gives up within %d ms, with a reason', (knexConfig, ms) => {
    expect(read({ knexConfig }).connectTimeoutMs).toBe(ms);
    const plugin = { catalog: { knexConfig } };
    expect(read({ plugin }).connectTimeoutMs).toBe(ms);
    expect(read({ plugin }, 'search').connectTimeoutMs).toBe(60_000);
  });
});

describe('a connection that is text', () => {
  const REFUSED = 'is text, but not the URL of a Postgres database';

  it.each([
    'jdbc:postgresql://h:5432/databricks_postgres',
    'h:5432',
    'h',
    'mysql://h/d',
    'postgres:h',
    '/var/run/postgresql databricks_postgres',
    './backstage.sqlite',
    'base',
    '"postgresql://h/d"',
    'host=h port=5432',
  ])('%s is refused with its key', connection => {
    expect(catchRefusal(() => checkAtStart({ connection }))).toContain(
      `backend.database.connection ${REFUSED}`,
    );
    const plugin = { catalog: { connection } };
    expect(catchRefusal(() => checkAtStart({ plugin }))).toContain(
      `backend.database.plugin.catalog.connection ${REFUSED}`,
    );
  });

  it('with a # that nobody has escaped is refused', () => {
    const connection = 'postgresql://user#1@h.example.com/d';

    expect(catchRefusal(() => checkAtStart({ connection }))).toMatch(
      /backend\.database\.connection is a URL with a #.*%23/,
    );
  });

  it.each(['', ' ', ':memory:'])('%j says nothing', connection => {
    expect(read({ connection }).connection).toMatchObject({
      database: 'backstage_plugin_catalog',
      port: 5432,
    });
    expect(read({ connection }).connection.host).toBeUndefined();
  });

  it.each(['postgres', 'postgresql', 'POSTGRESQL'])('may be %s://', scheme => {
    expect(
      read({ connection: `${scheme}://h.example.com:5433/d` }).connection,
    ).toMatchObject({ host: 'h.example.com', port: 5433 });
  });
});

describe('at start', () => {
  it('a set-up without any fault passes', () => {
    const plugin = { catalog: { connection: { database: 'own' } } };
    expect(() => checkAtStart({ ...schemaMode, plugin })).not.toThrow();
  });

  it('a plugin on SQLite is none of ours', () => {
    const plugin = {
      catalog: { client: 'better-sqlite3', connection: ':memory:' },
    };
    expect(() => checkAtStart({ plugin })).not.toThrow();
  });

  it('a shared setting in the block of a plugin is refused', () => {
    const plugin = { catalog: { lakebase: { connectTimeout: '5s' } } };
    expect(catchRefusal(() => checkAtStart({ plugin }))).toBe(
      'Invalid configuration. backend.database.plugin.catalog.lakebase: ' +
        'connectTimeout can be set for all plugins only, under ' +
        'backend.database.lakebase',
    );
  });

  it.each([true, 'yes', 1, []])(
    '%j as the block of a plugin is refused',
    own => {
      const plugin = { catalog: { lakebase: own } };
      expect(catchRefusal(() => checkAtStart({ plugin }))).toContain(
        'backend.database.plugin.catalog.lakebase: Invalid input: expected object',
      );
    },
  );
});
