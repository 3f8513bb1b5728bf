import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AppConfig, ConfigReader } from '@backstage/config';
import {
  type ConfigSchema,
  FileConfigSource,
  loadConfigSchema,
} from '@backstage/config-loader';
import type { JsonObject, JsonValue } from '@backstage/types';
import { omit, unset } from 'lodash';
import { generateConfigSchema } from '../../scripts/configSchema';
import { lakebaseSchema } from '../../src/config/configSchema';
import { readConfig } from '../../src/config/readConfig';

const ROOT = join(__dirname, '..', '..');
const EXAMPLE = join(ROOT, 'app-config.example.yaml');

const ENV: Record<string, string> = {
  DATABRICKS_HOST: 'https://dbc-1234.cloud.databricks.com',
  DATABRICKS_CLIENT_ID: '11111111-2222-3333-4444-555555555555',
  DATABRICKS_CLIENT_SECRET: 'dose-canary',
  DATABRICKS_TOKEN: 'dapi-canary',
};

/** What every Backstage has in its app-config. */
const APP: AppConfig = {
  context: 'app-config.yaml',
  data: {
    app: { baseUrl: 'http://localhost:3000' },
    backend: { baseUrl: 'http://localhost:7007', listen: ':7007' },
    // Required by RBAC, whose schema is collected with those of other tests.
    permission: { rbac: {} },
  },
};

/** As Backstage loads it at start. */
async function load(file: string): Promise<AppConfig[]> {
  const source = FileConfigSource.create({
    path: file,
    watch: false,
    substitutionFunc: name => Promise.resolve(ENV[name]),
  });
  const { value } = await source.readConfigData().next();
  return [APP, ...value!.configs];
}

/** The example with every option in force that it has commented out. */
async function loadWithAllOptions(): Promise<AppConfig[]> {
  const yaml = (await readFile(EXAMPLE, 'utf8'))
    .replace(/^ {4}connection:\n {6}.*\n/m, '')
    .replace(/^( +)# ( *)(\w+:( .*)?)$/gm, '$1$2$3');
  const folder = await mkdtemp(join(tmpdir(), 'example-'));
  try {
    await writeFile(join(folder, 'app-config.yaml'), yaml);
    return await load(join(folder, 'app-config.yaml'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('config.schema.json', () => {
  let schema: ConfigSchema;

  beforeAll(async () => {
    schema = await loadConfigSchema({
      dependencies: [],
      packagePaths: [join(ROOT, 'package.json')],
      noUndeclaredProperties: true,
    });
  });

  /** The example with something else in `backend.database`. */
  async function check(database: JsonObject) {
    const example = await load(EXAMPLE);
    const data = { backend: { database } };
    return schema.process([...example, { context: 'edit', data }]);
  }

  it('is the one that scripts/configSchema.ts writes', async () => {
    const file = await readFile(join(ROOT, 'config.schema.json'), 'utf8');
    expect(JSON.parse(file)).toEqual(generateConfigSchema());
  });

  it('accepts the example', async () => {
    const example = await load(EXAMPLE);
    expect(schema.process(example)).toEqual(example);
  });

  it('accepts the example for workflows, and so does the start', async () => {
    const example = await load(
      join(ROOT, 'examples', 'github', 'app-config.ci.yaml'),
    );

    expect(schema.process(example)).toEqual(example);
    const env = {
      ACTIONS_ID_TOKEN_REQUEST_URL: 'https://github.example.com/x?y=z',
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
    };
    const { endpoints } = readConfig(ConfigReader.fromConfigs(example), env);
    expect(endpoints[0].readWorkspace().method).toBe('github-oidc');
  });

  it('accepts the example with all that it has commented out', async () => {
    const example = await loadWithAllOptions();
    expect(schema.process(example)).toEqual(example);
  });

  it.each([
    ['endpiont', { endpiont: 'x' }, ''],
    ['clientSecert', { workspace: { clientSecert: 'x' } }, '/workspace'],
    ['ttl', { credential: { ttl: '1h' } }, '/credential'],
    ['minuts', { connectTimeout: { minuts: 1 } }, '/connectTimeout'],
  ])('refuses the misspelt key %s', async (key, lakebase, path) => {
    await expect(check({ lakebase })).rejects.toThrow(
      `{ additionalProperty=${key} } at /backend/database/lakebase${path}`,
    );
  });

  it.each([
    ['/endpoint', { endpoint: { project: 'x' } }],
    ['/workspace', { workspace: 'https://dbc-1234.cloud.databricks.com' }],
    ['/workspace/clientSecret', { workspace: { clientSecret: { a: 1 } } }],
    ['/credential/lifetime', { credential: { lifetime: [1] } }],
    ['/maxConnectionAge/hours', { maxConnectionAge: { hours: 'many' } }],
    ['/adminDatabase', { adminDatabase: '' }],
  ])('refuses a wrong value of %s', async (path, lakebase: JsonObject) => {
    await expect(check({ lakebase })).rejects.toThrow(
      ` at /backend/database/lakebase${path}`,
    );
  });

  it('refuses connection.type: lakebase', async () => {
    await expect(check({ connection: { type: 'lakebase' } })).rejects.toThrow(
      '/backend/database/connection/type',
    );
  });

  it.each([
    ['another endpoint', { endpoint: 'projects/p/branches/b/endpoints/e' }],
    ['another identity', { workspace: { clientId: 'x', clientSecret: 'y' } }],
    ['no Lakebase', false],
  ])('accepts for one plugin %s', async (_, lakebase: JsonValue) => {
    await expect(check({ plugin: { catalog: { lakebase } } })).resolves.toEqual(
      expect.arrayContaining([expect.objectContaining({ context: 'edit' })]),
    );
  });

  it.each([
    ['connectTimeout', { connectTimeout: '5s' }],
    ['endpiont', { endpiont: 'x' }],
  ])('refuses for one plugin %s', async (key, lakebase: JsonObject) => {
    await expect(check({ plugin: { catalog: { lakebase } } })).rejects.toThrow(
      `{ additionalProperty=${key} } at /backend/database/plugin/catalog/lakebase`,
    );
  });

  it('refuses to put a plugin on Lakebase by true', async () => {
    const plugin = { catalog: { lakebase: true } };
    await expect(check({ plugin })).rejects.toThrow(
      '/backend/database/plugin/catalog/lakebase',
    );
  });

  it('knows the client secret of one plugin as a secret', async () => {
    const workspace = { clientId: 'x', clientSecret: 'dose-canary' };
    const plugin = { catalog: { lakebase: { workspace } } };
    const data = { backend: { database: { plugin } } };
    const secrets = schema.process(
      [...(await load(EXAMPLE)), { context: 'edit', data }],
      { visibility: ['secret'] },
    );
    expect(
      ConfigReader.fromConfigs(secrets).get('backend.database.plugin'),
    ).toEqual({
      catalog: { lakebase: { workspace: { clientSecret: 'dose-canary' } } },
    });
  });

  it('knows client secret and token as the secrets of the block', async () => {
    const secrets = schema.process(await loadWithAllOptions(), {
      visibility: ['secret'],
    });
    expect(
      ConfigReader.fromConfigs(secrets).get('backend.database.lakebase'),
    ).toEqual({
      workspace: { clientSecret: 'dose-canary', token: 'dapi-canary' },
    });
  });

  it('shows nothing of the block to the frontend', async () => {
    const shown = schema.process(await loadWithAllOptions(), {
      visibility: ['frontend'],
    });
    expect(JSON.stringify(shown)).not.toMatch(/lakebase|databricks|canary/i);
  });
});

describe('the example', () => {
  const read = (configs: AppConfig[]) => {
    const rootConfig = ConfigReader.fromConfigs(configs);
    const { endpoints, forPlugin } = readConfig(rootConfig, {});
    const [{ readWorkspace, ...settings }] = endpoints;
    const ofConnections = ['connection', 'sources', 'plugins'];
    return {
      settings: {
        ...omit(settings, ofConnections),
        workspace: readWorkspace(),
      },
      plugin: forPlugin('scaffolder')!.database,
    };
  };

  it('is all that the module needs', async () => {
    expect(read(await load(EXAMPLE)).settings).toMatchObject({
      endpoint: {
        value: 'projects/backstage/branches/production/endpoints/primary',
      },
      workspaceHost: { value: ENV.DATABRICKS_HOST },
      workspace: {
        clientId: ENV.DATABRICKS_CLIENT_ID,
        clientSecret: ENV.DATABRICKS_CLIENT_SECRET,
      },
    });
  });

  it('names every key of the block', async () => {
    const rootConfig = ConfigReader.fromConfigs(await loadWithAllOptions());
    const block = rootConfig.getConfig('backend.database.lakebase');
    const { workspace, ...keys } = lakebaseSchema.shape;
    expect(block.keys().sort()).toEqual(
      ['workspace', ...Object.keys(keys)].sort(),
    );
    expect(block.getConfig('workspace').keys().sort()).toEqual(
      Object.keys(workspace.unwrap().shape).sort(),
    );
  });

  it('tells the true defaults', async () => {
    const minimal = read(await load(EXAMPLE));
    const all = await loadWithAllOptions();
    // The one option that excludes another one.
    for (const { data } of all)
      unset(data, 'backend.database.lakebase.instance');
    const full = read(all);

    expect(full.settings).toEqual({
      ...minimal.settings,
      credentialLifetimeMs: 3_600_000,
    });
    expect(full.plugin).toMatchObject({
      ensureDatabase: minimal.plugin.ensureDatabase,
      connection: {
        database: minimal.plugin.connection.database,
        port: minimal.plugin.connection.port,
      },
      knexConfig: { pool: minimal.plugin.knexConfig.pool },
    });
  });
});
