import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { warnOfBypassingPlugins } from '../../src/startupNotices/bypassingPlugins';

const ITSELF =
  "const manager = backendDefaults.DatabaseManager.fromConfig(config);\nmanager.forPlugin('x');";
const BY_KEY = "knex(config.get('backend.database.connection'))";
const SERVICE =
  "const knex = await database.getClient(); config.getString('backend.database.client');";

let app: string;

beforeEach(async () => {
  app = await mkdtemp(join(tmpdir(), 'bypassing-'));
});

afterEach(() => rm(app, { recursive: true }));

async function file(path: string, text: string): Promise<string> {
  const whole = join(app, path);
  await mkdir(dirname(whole), { recursive: true });
  await writeFile(whole, text);
  return whole;
}

describe('a plugin that connects by itself', () => {
  it.each([
    ['@acme/plugin-costs-backend', ITSELF],
    ['@acme/plugin-costs-backend', BY_KEY],
    ['backstage-plugin-badges', ITSELF],
  ])('is found by what it calls: %s', async (name, text) => {
    const loaded = await file(`node_modules/${name}/dist/index.cjs.js`, text);

    const warning = warnOfBypassingPlugins([loaded]);

    expect(warning).toContain(`${name} may connect to`);
    expect(warning).toContain('lakebase.localProxy: true');
  });

  it('is found in the code of the app', async () => {
    const loaded = await file('packages/backend/dist/index.cjs.js', ITSELF);

    expect(warnOfBypassingPlugins([loaded])).toContain(loaded);
  });

  it.each([
    ['Backstage itself', '@backstage/backend-defaults', ITSELF],
    ['what is no plugin', 'knex', BY_KEY],
    ['a plugin that asks the service', '@acme/plugin-x-backend', SERVICE],
  ])('is not taken for %s', async (_, name, text) => {
    const loaded = await file(`node_modules/${name}/dist/index.js`, text);

    expect(warnOfBypassingPlugins([loaded])).toBeUndefined();
  });

  it('is not taken for this package where an app has installed it', async () => {
    const name = 'backstage-backend-module-lakebase';
    const loaded = await file(`node_modules/${name}/dist/keys.js`, BY_KEY);
    const ours = join(app, 'node_modules', name) + sep;

    expect(warnOfBypassingPlugins([loaded], ours)).toBeUndefined();
    expect(warnOfBypassingPlugins([loaded])).toContain(name);
  });

  it('is not taken for this package, or for a file that is gone', () => {
    const files = ['../../src/module', './gone'].map(name =>
      join(__dirname, `${name}.ts`),
    );

    expect(warnOfBypassingPlugins(files)).toBeUndefined();
  });
});
