import { MutableConfigSource, ConfigSources } from '@backstage/config-loader';
import type { JsonObject } from '@backstage/types';
import { readConfig } from '../../src/config/readConfig';
import {
  appConfig,
  CANARY,
  ENV,
  type Env,
  readBlock,
  catchRefusal,
} from '../support/appConfig';

const KEY = 'backend.database.lakebase';
const ENDPOINT = 'projects/p-1/branches/production/endpoints/primary';
const WORKSPACE = {
  host: 'https://dbc-1234.cloud.databricks.com',
  clientId: 'block-id',
  clientSecret: `${CANARY}-block`,
};

/** What an endpoint has that serves all plugins, and is looked up. */
const ALONE = {
  base: true,
  plugins: [],
  connection: {
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    port: 5432,
    ssl: { rejectUnauthorized: true },
  },
  sources: { host: undefined, user: undefined },
  localProxy: undefined,
};

describe('the block', () => {
  it('is read as it is', () => {
    const { readWorkspace, ...settings } = readBlock({
      endpoint: ENDPOINT,
      workspace: WORKSPACE,
      credential: { lifetime: '30m' },
      adminDatabase: 'admin',
      connectTimeout: '20s',
      maxConnectionAge: '10m',
    });
    expect(settings).toEqual({
      endpoint: {
        value: ENDPOINT,
        source: `${KEY}.endpoint`,
        kind: 'endpoint',
      },
      workspaceHost: {
        value: WORKSPACE.host,
        source: `${KEY}.workspace.host`,
      },
      clientId: WORKSPACE.clientId,
      credentialLifetimeMs: 1_800_000,
      adminDatabase: 'admin',
      connectTimeoutMs: 20_000,
      maxConnectionAgeMs: 600_000,
      ...ALONE,
    });
    expect(readWorkspace()).toEqual({
      method: 'oauth-m2m',
      ...WORKSPACE,
      hostKey: `${KEY}.workspace.host`,
      identityKeys: `${KEY}.workspace.clientId and ${KEY}.workspace.clientSecret`,
    });
  });

  it('may be empty when the environment has the rest', () => {
    const { readWorkspace, ...settings } = readBlock({});
    expect(settings).toEqual({
      endpoint: {
        value: ENV.LAKEBASE_ENDPOINT,
        source: 'LAKEBASE_ENDPOINT',
        kind: 'endpoint',
      },
      workspaceHost: { value: ENV.DATABRICKS_HOST, source: 'DATABRICKS_HOST' },
      clientId: ENV.DATABRICKS_CLIENT_ID,
      credentialLifetimeMs: undefined,
      adminDatabase: 'databricks_postgres',
      connectTimeoutMs: 60_000,
      maxConnectionAgeMs: 45 * 60_000,
      ...ALONE,
    });
    expect(readWorkspace()).toEqual({
      method: 'oauth-m2m',
      host: ENV.DATABRICKS_HOST,
      hostKey: 'DATABRICKS_HOST',
      clientId: ENV.DATABRICKS_CLIENT_ID,
      clientSecret: ENV.DATABRICKS_CLIENT_SECRET,
      identityKeys: 'DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET',
    });
  });

  it('loses the blanks that files and shells put around values', () => {
    const config = readBlock(
      {
        endpoint: ` ${ENDPOINT}\n`,
        workspace: {
          host: ' ',
          clientId: '\tblock-id ',
          clientSecret: `${CANARY}-block\r\n`,
        },
        adminDatabase: ' ',
      },
      { DATABRICKS_HOST: ` ${ENV.DATABRICKS_HOST}\n` },
    );
    expect(config.endpoint.value).toBe(ENDPOINT);
    expect(config.adminDatabase).toBe('databricks_postgres');
    expect(config.readWorkspace()).toMatchObject({
      host: ENV.DATABRICKS_HOST,
      clientId: 'block-id',
      clientSecret: `${CANARY}-block`,
    });
  });

  it.each<[string, JsonObject, string[]]>([
    ['endpiont', { endpiont: CANARY }, [KEY, 'endpiont']],
    [
      'clientSecert',
      { workspace: { clientSecert: CANARY } },
      [`${KEY}.workspace`, 'clientSecert'],
    ],
    ['ttl', { credential: { ttl: '1h' } }, [`${KEY}.credential`, 'ttl']],
    [
      'minuts',
      { connectTimeout: { minuts: 1 } },
      [`${KEY}.connectTimeout`, 'minuts'],
    ],
  ])('refuses the misspelt key %s with its path', (_, block, names) => {
    const message = catchRefusal(() => readBlock(block));
    for (const name of names) expect(message).toContain(name);
  });

  it.each<[string, JsonObject]>([
    [`${KEY}.endpoint`, { endpoint: 5 }],
    [`${KEY}.workspace`, { workspace: CANARY }],
    [
      `${KEY}.workspace.clientSecret`,
      { workspace: { clientSecret: [CANARY] } },
    ],
    [`${KEY}.adminDatabase`, { adminDatabase: '' }],
    [`${KEY}.connectTimeout`, { connectTimeout: 60 }],
  ])('refuses a wrong value of %s', (key, block) => {
    expect(catchRefusal(() => readBlock(block))).toContain(key);
  });

  it('names all that is wrong at once', () => {
    const message = catchRefusal(() =>
      readBlock({ endpoint: 5, workspace: { hots: 'x' } }),
    );
    expect(message).toContain(`${KEY}.endpoint`);
    expect(message).toContain('hots');
  });
});

describe('the endpoint', () => {
  it('of the block beats that of the environment', () => {
    expect(readBlock({ endpoint: ENDPOINT }).endpoint.value).toBe(ENDPOINT);
  });

  it('is asked for by its name where only PG* is set', () => {
    const env = { ...ENV, LAKEBASE_ENDPOINT: undefined, PGHOST: 'ep.example' };

    expect(catchRefusal(() => readBlock({}, env))).toMatch(
      /endpoint is missing: PGHOST .* not its name\. Set it, or LAKEBASE_ENDPOINT/,
    );
  });

  it.each([
    'projects/6bef4151-4b5d-4147-b4d0-c2f4fd5b40db/branches/br-broad-pine-y12n6gnv/endpoints/ep-summer-frost-y131l3vx',
    'projects/P/branches/B_1/endpoints/E.2',
    `projects/${'p'.repeat(64)}/branches/b-/endpoints/1`,
  ])('%s is for the platform to know', name => {
    const [block, env] = [
      readBlock({ endpoint: name }),
      readBlock({}, { ...ENV, LAKEBASE_ENDPOINT: name }),
    ];

    expect(block.endpoint.value).toBe(name);
    expect(env.endpoint.value).toBe(name);
  });

  it('is asked for when it is missing', () => {
    const message = catchRefusal(() =>
      readBlock({}, { ...ENV, LAKEBASE_ENDPOINT: ' ' }),
    );
    expect(message).toContain(`${KEY}.endpoint is missing`);
    expect(message).toContain('LAKEBASE_ENDPOINT');
  });

  it.each([
    'projects/p/branches/b/endpoints/e/',
    '/projects/p/branches/b/endpoints/e',
    'projects/p/branches/b/endpoints',
    'projects//branches/b/endpoints/e',
    'projects/p/branches/../endpoints/e',
    'projects/p/branches/b/endpoints/..',
    'projects/p/branches/b/endpoints/e?x=1',
    'projects/p/branches/b/endpoints/a b',
    '"projects/p/branches/b/endpoints/e"',
    'PROJECTS/p/branches/b/endpoints/e',
    'ep-example.database.us-east-1.cloud.databricks.com',
  ])('%s is refused', endpoint => {
    const inBlock = catchRefusal(() => readBlock({ endpoint }));
    expect(inBlock).toContain(`${KEY}.endpoint is not`);
    expect(inBlock).toContain('projects/P/branches/B/endpoints/E');
    expect(
      catchRefusal(() =>
        readBlock({}, { ...ENV, LAKEBASE_ENDPOINT: endpoint }),
      ),
    ).toContain('LAKEBASE_ENDPOINT is not');
  });
});

describe('the workspace host', () => {
  const elsewhere = { ...ENV, DATABRICKS_HOST: undefined };

  it.each([
    ['dbc-1234.cloud.databricks.com', 'https://dbc-1234.cloud.databricks.com'],
    ['HTTPS://DBC.azuredatabricks.net/', 'https://dbc.azuredatabricks.net'],
    ['https://dbc.databricks.com/?o=12#x', 'https://dbc.databricks.com'],
    ['https://dbc.databricks.com:8443', 'https://dbc.databricks.com:8443'],
    ['http://localhost:8080', 'http://localhost:8080'],
    ['http://127.0.0.1:8080/', 'http://127.0.0.1:8080'],
    ['http://127.8.9.1', 'http://127.8.9.1'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
  ])('may be written as %s', (host, origin) => {
    const config = readBlock({ workspace: { host } }, elsewhere);
    expect(config.workspaceHost.value).toBe(origin);
    expect(config.readWorkspace().host).toBe(origin);
  });

  it.each([
    'http://dbc-1234.cloud.databricks.com',
    'http://localhost.example.com',
    'http://127.0.0.1.example.com',
    'http://10.0.0.1',
    'http://[::2]',
    'ftp://dbc-1234.cloud.databricks.com',
  ])('%s is refused: a secret would go there in clear', host => {
    const message = catchRefusal(() => readBlock({ workspace: { host } }));
    expect(message).toContain(`${KEY}.workspace.host must start with https://`);
    expect(
      catchRefusal(() => readBlock({}, { ...ENV, DATABRICKS_HOST: host })),
    ).toContain('DATABRICKS_HOST must start with https://');
  });

  it.each([
    `https://user:${CANARY}@dbc-1234.cloud.databricks.com`,
    `${CANARY}@dbc-1234.cloud.databricks.com`,
    'https://',
    'https://dbc 1234',
    '"https://dbc-1234.cloud.databricks.com"',
    "'dbc-1234.cloud.databricks.com'",
    'https://https://dbc-1234.cloud.databricks.com',
    'https//dbc-1234.cloud.databricks.com',
    'https:dbc-1234.cloud.databricks.com:x',
    '${DATABRICKS_HOST}',
    '<your-workspace>.cloud.databricks.com',
    'https://dbc-1234.cloud.databricks.com,https://other',
  ])('%s is refused as no URL of a workspace', host => {
    expect(catchRefusal(() => readBlock({ workspace: { host } }))).toContain(
      `${KEY}.workspace.host is not the URL of a workspace`,
    );
  });

  it('is asked for when it is missing', () => {
    const message = catchRefusal(() =>
      readBlock({}, { ...ENV, DATABRICKS_HOST: undefined }),
    );
    expect(message).toContain(`${KEY}.workspace.host is missing`);
    expect(message).toContain('DATABRICKS_HOST');
  });
});

describe('the identity', () => {
  it('of the block beats that of the environment as a whole', () => {
    const { clientId, clientSecret } = WORKSPACE;
    const config = readBlock({ workspace: { clientId, clientSecret } });
    expect(config.readWorkspace()).toMatchObject({
      host: ENV.DATABRICKS_HOST,
      clientId,
      clientSecret,
    });
  });

  it.each<[string, string, JsonObject, Env]>([
    [
      `${KEY}.workspace.clientSecret`,
      'a block with an id only',
      { clientId: 'x' },
      ENV,
    ],
    [
      `${KEY}.workspace.clientId`,
      'a block with a secret only',
      { clientSecret: CANARY },
      ENV,
    ],
    [
      'DATABRICKS_CLIENT_SECRET',
      'an environment with an id only',
      {},
      { ...ENV, DATABRICKS_CLIENT_SECRET: ' ' },
    ],
    [
      'DATABRICKS_CLIENT_ID',
      'an environment with a secret only',
      {},
      { ...ENV, DATABRICKS_CLIENT_ID: undefined },
    ],
  ])('lacks the %s in %s', (missing, _, workspace, env) => {
    const message = catchRefusal(() => readBlock({ workspace }, env));
    expect(message).toContain(`${missing} is missing`);
    expect(message).toContain('variable that is not set');
  });

  it('stays what it was at start but for the secret', async () => {
    const data = (clientId: string, host: string) =>
      appConfig({
        lakebase: { workspace: { host, clientId, clientSecret: 'x' } },
      }).get<JsonObject>();
    const source = MutableConfigSource.create({
      data: data('old', 'old.example.com'),
    });
    const rootConfig = await ConfigSources.toConfig(source);
    const [{ readWorkspace }] = readConfig(rootConfig, ENV).endpoints;
    const replace = async (next: JsonObject) => {
      const replaced = new Promise<void>(resolve =>
        rootConfig.subscribe!(resolve),
      );
      source.setData(next);
      await replaced;
    };

    await replace(data('old', 'new.example.com'));
    expect(readWorkspace().host).toBe('https://old.example.com');
    await replace(data('new', 'old.example.com'));
    expect(() => readWorkspace()).toThrow(/Restart to follow/);
    rootConfig.close();
  });

  it('is read anew each time, so that a secret can be replaced', async () => {
    const data = (clientSecret: string) =>
      appConfig({
        lakebase: { workspace: { clientId: 'x', clientSecret } },
      }).get<JsonObject>();
    const source = MutableConfigSource.create({ data: data('old') });
    const rootConfig = await ConfigSources.toConfig(source);
    const [{ readWorkspace }] = readConfig(rootConfig, ENV).endpoints;
    expect(readWorkspace()).toMatchObject({ clientSecret: 'old' });

    const replaced = new Promise<void>(resolve =>
      rootConfig.subscribe!(resolve),
    );
    source.setData(data('new'));
    await replaced;
    expect(readWorkspace()).toMatchObject({ clientSecret: 'new' });
    rootConfig.close();
  });
});

describe('text, which is what ${VARIABLE} becomes,', () => {
  const read = (database: JsonObject) => readConfig(appConfig(database), ENV);

  it('may stand for a number, a boolean and the parts of a duration', () => {
    const lakebase = {
      maxConnections: '5',
      readiness: 'true',
      localProxy: 'no',
      connectTimeout: { seconds: '30' },
    };
    const { endpoints, forPlugin, ...settings } = read({
      lakebase,
      ensureExists: 'false',
      plugin: { catalog: { skipMigrations: 'yes' } },
    });

    expect(settings).toMatchObject({ maxConnections: 5, readiness: true });
    expect(endpoints[0]).toMatchObject({
      connectTimeoutMs: 30_000,
      localProxy: undefined,
    });
    expect(forPlugin('catalog')!.database).toMatchObject({
      ensureDatabase: false,
      skipMigrations: true,
    });
  });

  it.each<[string, JsonObject]>([
    ['lakebase.maxConnections', { lakebase: { maxConnections: 'many' } }],
    ['lakebase.maxConnections', { lakebase: { maxConnections: '0' } }],
    ['lakebase.readiness', { lakebase: { readiness: 'maybe' } }],
    [
      'lakebase.connectTimeout.seconds',
      { lakebase: { connectTimeout: { seconds: 'soon' } } },
    ],
    ['ensureExists', { ensureExists: 'perhaps' }],
    [
      'plugin.catalog.skipMigrations',
      { plugin: { catalog: { skipMigrations: [] } } },
    ],
  ])('is refused by its key, %s, where it stands for none', (key, database) => {
    expect(catchRefusal(() => read(database))).toContain(
      `backend.database.${key}: `,
    );
  });

  it('counts as absent when it is null', () => {
    const lakebase = { maxConnections: null, connectTimeout: null };
    const { maxConnections, endpoints } = read({ lakebase, role: null });

    expect(maxConnections).toBeUndefined();
    expect(endpoints[0].connectTimeoutMs).toBe(60_000);
  });
});

describe('a duration', () => {
  it.each<[string, JsonObject['x']]>([
    ['90s', '90s'],
    ['1.5 minutes', '1.5 minutes'],
    ['PT1M30S', 'PT1M30S'],
    ['{ seconds: 90 }', { seconds: 90 }],
    ['{ minutes: 1, seconds: 30 }', { minutes: 1, seconds: 30 }],
  ])('may be written as %s', (_, value) => {
    const config = readBlock({
      connectTimeout: value,
      maxConnectionAge: value,
    });
    expect(config.connectTimeoutMs).toBe(90_000);
    expect(config.maxConnectionAgeMs).toBe(90_000);
  });

  it.each<[string, JsonObject['x']]>([
    ['60 without a unit', 60],
    ["'60' without a unit", '60'],
    ['soon', 'soon'],
    ['an empty one', ''],
    ['{}', {}],
  ])('is refused as %s', (_, value) => {
    for (const [key, block] of [
      ['connectTimeout', { connectTimeout: value }],
      ['maxConnectionAge', { maxConnectionAge: value }],
      ['credential.lifetime', { credential: { lifetime: value } }],
    ] as const) {
      const message = catchRefusal(() => readBlock(block));
      expect(message).toContain(`${KEY}.${key}`);
      expect(message).toContain("not a duration, such as '30s'");
    }
  });

  it.each(['0s', '999ms', 'PT-5S', 'P30D'])(
    'of %s is no time to wait',
    value => {
      for (const key of ['connectTimeout', 'maxConnectionAge']) {
        expect(catchRefusal(() => readBlock({ [key]: value }))).toContain(
          `${KEY}.${key}: must be from 1 second to 24 hours`,
        );
      }
    },
  );
});

describe('the life of a credential', () => {
  it.each([
    ['5m', 300_000],
    ['PT5M1S', 301_000],
    ['1h', 3_600_000],
  ])('may be %s', (lifetime, ms) => {
    const config = readBlock({ credential: { lifetime } });
    expect(config.credentialLifetimeMs).toBe(ms);
  });

  it.each(['299s', '3601s', '1d', '300500ms'])('may not be %s', lifetime => {
    const message = catchRefusal(() => readBlock({ credential: { lifetime } }));
    expect(message).toContain(`${KEY}.credential.lifetime: must be`);
    expect(message).toContain('from 5 minutes to 1 hour');
  });
});
