import type { BackendFeature } from '@backstage/backend-plugin-api';
import {
  mockServices,
  startTestBackend,
  type TestBackend,
} from '@backstage/backend-test-utils';
import type { JsonObject } from '@backstage/types';
import type { Emulator } from '../emulator';
import lakebaseModule from '../src';
import { FakeClock } from '../testbed/fakeClock';
import { inProcessScheduler } from './support/inProcessScheduler';
import {
  keepingRootLogger,
  lakebaseConfig,
  lakebaseTests,
} from './support/lakebase';
import { liveThrough } from './support/liveThrough';
import { DAY } from '../testbed/durations';

const backends: TestBackend[] = [];

// Before the emulators, which wait for their clients to go.
afterEach(async () => {
  await Promise.all(backends.splice(0).map(backend => backend.stop()));
});

const start = lakebaseTests();

/** Tells of every client that dials, once it is called. */
function countDials({ gateway }: Emulator): { dials: number } {
  const count = { dials: 0 };
  gateway.on('connection', () => (count.dials += 1));
  return count;
}

async function startPreview(emulator: Emulator, config: JsonObject) {
  const { rootLogger } = keepingRootLogger();
  const features = await Promise.all<{ default: BackendFeature }>([
    import('@backstage/plugin-catalog-backend'),
    import('@backstage/plugin-scaffolder-backend'),
    import('@backstage/plugin-search-backend'),
    import('@backstage/plugin-search-backend-module-pg'),
    import('@backstage/plugin-search-backend-module-catalog'),
  ]);
  const backend = await startTestBackend({
    features: [
      rootLogger,
      mockServices.rootConfig.factory({
        data: { ...lakebaseConfig(emulator, IN_SCHEMAS), ...config },
      }),
      lakebaseModule,
      inProcessScheduler,
      ...features.map(feature => feature.default),
    ],
  });
  backends.push(backend);
  return backend;
}

const IN_SCHEMAS = {
  pluginDivisionMode: 'schema',
  // Longer than any plugin's pause between two looks at its tables.
  knexConfig: { pool: { idleTimeoutMillis: 6_000 } },
};

const QUIET = {
  catalog: { processingInterval: false },
  scaffolder: { taskTimeoutJanitorFrequency: { hours: 12 } },
  search: {
    collators: {
      catalog: {
        schedule: {
          frequency: { hours: 12 },
          initialDelay: { seconds: 0 },
          timeout: { minutes: 15 },
        },
      },
    },
  },
};

describe('an endpoint whose plugins are idle', () => {
  it('is left alone while its credential is renewed for a day', async () => {
    const emulator = await start.emulator();
    const clock = new FakeClock();
    const soon = { idleTimeoutMillis: 50, reapIntervalMillis: 50 };
    const lakebase = start.lakebase(
      emulator,
      { pluginDivisionMode: 'schema', knexConfig: { pool: soon } },
      { clock },
    );
    for (const plugin of ['catalog', 'search', 'auth']) {
      const knex = await lakebase.getClient(plugin);
      await knex.raw('select 1');
    }
    await lakebase.announce();

    await emulator.gateway.drained();
    const seen = countDials(emulator);
    await liveThrough(emulator, clock, DAY);

    const { controlPlane } = emulator;
    expect(controlPlane.count('credentials')).toBeGreaterThan(24);
    expect(seen.dials).toBe(0);
  });
});

describe('a preview environment', () => {
  it('lets its endpoint sleep, and wakes it for the first request', async () => {
    const emulator = await start.emulator();
    const { server } = await startPreview(emulator, QUIET);

    await emulator.gateway.drained();
    await emulator.gateway.suspend({ wakeDelayMs: 300 });
    const response = await fetch(
      `http://127.0.0.1:${server.port()}/api/catalog/entities`,
      { headers: { authorization: 'Bearer mock-user-token' } },
    );

    expect(response.status).toBe(200);
  });
});
