import {
  coreServices,
  createBackendPlugin,
} from '@backstage/backend-plugin-api';
import searchPlugin from '@backstage/plugin-search-backend';
import postgresEngine, {
  PgSearchEngine,
} from '@backstage/plugin-search-backend-module-pg';
import { mockServices, startTestBackend } from '@backstage/backend-test-utils';
import type { JsonObject } from '@backstage/types';
import lakebaseModule from '../../src';
import {
  keepingRootLogger,
  killSessions,
  lakebaseConfig,
  lakebaseTests,
  type LogLine,
} from '../support/lakebase';

const start = lakebaseTests();

const warnings = (lines: LogLine[]) =>
  lines.filter(({ level }) => level === 'warn').map(({ message }) => message);

/** In a test backend, search without an engine asks for no database. */
const databaseUser = createBackendPlugin({
  pluginId: 'probe',
  register(env) {
    env.registerInit({
      deps: { database: coreServices.database },
      async init({ database }) {
        await database.getClient();
      },
    });
  },
});

/** What a backend with the search plugin warns of. */
async function warnedOf(...features: (typeof postgresEngine)[]) {
  const emulator = await start.emulator();
  const { rootLogger, lines } = keepingRootLogger();
  const backend = await startTestBackend({
    features: [
      rootLogger,
      mockServices.rootConfig.factory({ data: lakebaseConfig(emulator) }),
      lakebaseModule,
      databaseUser,
      searchPlugin,
      ...features,
    ],
  });
  await backend.stop();
  await emulator.gateway.drained();
  return warnings(lines);
}

/** What is warned of once plugins like these have started. */
async function warnedWith(modules: string[], overrides: JsonObject = {}) {
  const emulator = await start.emulator();
  const installed = {
    pluginId: 'search',
    modules: modules.map(moduleId => ({ moduleId })),
  };
  const lakebase = start.lakebase(emulator, overrides, {
    installed: [installed],
  });
  await lakebase.getClient('catalog');
  await lakebase.announce();
  return warnings(lakebase.lines);
}

describe('search', () => {
  it('without the Postgres engine leads to one warning that adds it', async () => {
    await expect(warnedOf()).resolves.toEqual([
      expect.stringContaining(
        "backend.add(import('@backstage/plugin-search-backend-module-pg'))",
      ),
    ]);
  });

  it('with the Postgres engine leads to none', async () => {
    await expect(warnedOf(postgresEngine)).resolves.toEqual([]);
  });

  it('that fell back to its in-memory engine leads to one that says so', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(
      emulator,
      { lakebase: { connectTimeout: '1s' } },
      {
        installed: [
          { pluginId: 'search', modules: [{ moduleId: 'postgres-engine' }] },
        ],
      },
    );
    const database = lakebase.forPlugin('search');
    const knex = await database.getClient();
    emulator.gateway.refuseNext('startingUp', { times: Infinity });
    await killSessions(emulator, knex);

    await expect(PgSearchEngine.supported(database)).resolves.toBe(false);
    await lakebase.announce();

    expect(warnings(lakebase.lines)).toEqual([
      expect.stringContaining('Search runs on its in-memory engine'),
    ]);
  });

  it('that found its database awake leads to none', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(
      emulator,
      {},
      {
        installed: [
          { pluginId: 'search', modules: [{ moduleId: 'postgres-engine' }] },
        ],
      },
    );

    await expect(
      PgSearchEngine.supported(lakebase.forPlugin('search')),
    ).resolves.toBe(true);
    await lakebase.announce();

    expect(warnings(lakebase.lines)).toEqual([]);
  });

  it.each([
    ['on another engine', ['elasticsearch-engine'], {}],
    ['on an engine of another name', ['typesense-search'], {}],
    [
      'on another database system',
      [],
      { plugin: { search: { client: 'sqlite3' } } },
    ],
    [
      "on Backstage's own service",
      [],
      { plugin: { search: { lakebase: false } } },
    ],
  ])('%s leads to none', async (_, modules, overrides: JsonObject) => {
    await expect(warnedWith(modules, overrides)).resolves.toEqual([]);
  });

  it('with modules that only feed its index leads to one', async () => {
    const modules = ['catalog-collator', 'techdocs-collator'];

    await expect(warnedWith(modules)).resolves.toEqual([
      expect.stringContaining('plugin-search-backend-module-pg'),
    ]);
  });

  it('that is not installed leads to none', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator);
    await lakebase.getClient('catalog');

    await lakebase.announce();

    expect(warnings(lakebase.lines)).toEqual([]);
  });
});
