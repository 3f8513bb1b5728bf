import {
  coreServices,
  createBackendPlugin,
  type BackendFeature,
} from '@backstage/backend-plugin-api';
import {
  mockServices,
  startTestBackend,
  type TestBackend,
} from '@backstage/backend-test-utils';
import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import {
  databaseConfig,
  startPostgresProcess,
  type Emulator,
  type PostgresServer,
} from '../emulator';
import lakebaseModule, { lakebaseDatabaseServiceFactory } from '../src';
import {
  keepingRootLogger,
  killSessions,
  lakebaseConfig,
  lakebaseTests,
} from './support/lakebase';
import { HOUR } from '../testbed/durations';
import { busy, createRefresher } from './support/refresher';

const backends: TestBackend[] = [];

// Before the emulators, which wait for their clients to go.
afterEach(async () => {
  await Promise.all(backends.splice(0).map(backend => backend.stop()));
});

const start = lakebaseTests();
const elsewheres: PostgresServer[] = [];

afterEach(async () => {
  await Promise.all(elsewheres.splice(0).map(server => server.stop()));
});

const OK = { status: 200, payload: { status: 'ok' } };
const NO_CREDENTIAL = {
  status: 503,
  payload: {
    message: expect.stringContaining('No Lakebase credential') as string,
    status: 'error',
  },
};

async function probe(
  backend: TestBackend,
  kind: 'readiness' | 'liveness',
): Promise<{ status: number; payload: unknown }> {
  const url = `http://127.0.0.1:${backend.server.port()}/.backstage/health/v1`;
  const response = await fetch(`${url}/${kind}`);
  return { status: response.status, payload: await response.json() };
}

/** A backend with plugins that have used their databases. */
async function startBackend(
  emulator: Emulator,
  lakebase: JsonObject,
  features: BackendFeature[] = [lakebaseModule],
  others: JsonObject = {},
) {
  const { rootLogger, lines } = keepingRootLogger();
  const rootConfig = mockServices.rootConfig.factory({
    data: lakebaseConfig(emulator, {
      pluginDivisionMode: 'schema',
      lakebase: { connectTimeout: { seconds: 1 }, ...lakebase },
      plugin: others,
    }),
  });
  const pools = new Map<string, Knex>();
  const plugins = ['probe', ...Object.keys(others)].map(pluginId =>
    createBackendPlugin({
      pluginId,
      register(env) {
        env.registerInit({
          deps: { database: coreServices.database },
          async init({ database }) {
            pools.set(pluginId, await database.getClient());
          },
        });
      },
    }),
  );
  const backend = await startTestBackend({
    features: [rootLogger, rootConfig, ...plugins, ...features],
  });
  backends.push(backend);
  const knexOf = (pluginId: string) => pools.get(pluginId)!;
  return { backend, knex: knexOf('probe'), knexOf, lines };
}

/** Leaves a backend without a credential, and the workspace as it is. */
async function loseCredential(emulator: Emulator, knex: Knex): Promise<void> {
  emulator.gateway.revokeTokens();
  await killSessions(emulator, knex);
  await expect(knex.raw('select 1')).rejects.toThrow();
}

describe('readiness: true', () => {
  it('is ready, and not ready only until a credential can be minted again', async () => {
    const emulator = await start.emulator();
    const { backend, knex } = await startBackend(emulator, { readiness: true });
    expect(await probe(backend, 'readiness')).toEqual(OK);

    emulator.controlPlane.answer('credentials', { status: 503 });
    await loseCredential(emulator, knex);
    expect(await probe(backend, 'readiness')).toEqual(NO_CREDENTIAL);
    expect(await probe(backend, 'liveness')).toEqual(OK);

    emulator.controlPlane.recover();
    await emulator.controlPlane.once('credentials');
    await knex.raw('select 1');
    expect(await probe(backend, 'readiness')).toEqual(OK);
  });

  it('is ready while the workspace is down and the credential valid', async () => {
    const emulator = await start.emulator({ credentialLifeMs: 10_000 });
    const { backend } = await startBackend(emulator, { readiness: true });

    emulator.controlPlane.answer('credentials', { status: 503 });
    await emulator.controlPlane.once('credentials');

    expect(await probe(backend, 'readiness')).toEqual(OK);
  });

  it('does not wake the endpoint', async () => {
    const emulator = await start.emulator();
    const { backend } = await startBackend(emulator, { readiness: true });
    await emulator.gateway.suspend({ wakeDelayMs: 0 });
    const { length } = emulator.controlPlane.calls;

    expect(await probe(backend, 'readiness')).toEqual(OK);
    expect(await probe(backend, 'liveness')).toEqual(OK);

    expect(emulator.gateway.compute.awake).toBe(false);
    expect(emulator.gateway.openConnections).toBe(0);
    expect(emulator.controlPlane.calls).toHaveLength(length);
  });

  it('does not mint, either, when there is no credential', async () => {
    const emulator = await start.emulator();
    const { backend, knex } = await startBackend(emulator, { readiness: true });
    // A refusal is tried again in minutes only, if nobody asks.
    emulator.controlPlane.answer('credentials', { status: 403 });
    await loseCredential(emulator, knex);
    const { length } = emulator.controlPlane.calls;

    for (let count = 0; count < 5; count++) {
      expect(await probe(backend, 'readiness')).toEqual(NO_CREDENTIAL);
      expect(await probe(backend, 'liveness')).toEqual(OK);
    }

    expect(emulator.controlPlane.calls).toHaveLength(length);
    expect(emulator.gateway.openConnections).toBe(0);
  });

  it('keeps what the health service says of start and shutdown', async () => {
    const emulator = await start.emulator();
    const seen: unknown[] = [];
    const running: { backend?: TestBackend } = {};
    const watcher = createBackendPlugin({
      pluginId: 'watcher',
      register(env) {
        env.registerInit({
          deps: {
            lifecycle: coreServices.lifecycle,
            health: coreServices.rootHealth,
          },
          async init({ lifecycle, health }) {
            seen.push(await health.getReadiness());
            lifecycle.addShutdownHook(async () => {
              seen.push(await probe(running.backend!, 'readiness'));
              seen.push(await probe(running.backend!, 'liveness'));
            });
          },
        });
      },
    });

    running.backend = (
      await startBackend(emulator, { readiness: true }, [
        ...[lakebaseModule, watcher],
      ])
    ).backend;
    await backends.pop()!.stop();

    const notReady = (message: string) => ({
      status: 503,
      payload: { status: 'error', message },
    });
    expect(seen).toEqual([
      notReady('Backend has not started yet'),
      notReady('Backend is shutting down'),
      OK,
    ]);
  });

  it('is ready as long as one of two endpoints lets new connections in', async () => {
    const elsewhere = await startPostgresProcess();
    elsewheres.push(elsewhere);
    const base = await start.emulator();
    const other = await start.emulator({ postgres: elsewhere });
    const { connection, lakebase } = databaseConfig(other);
    const { backend, knex, knexOf } = await startBackend(
      base,
      { readiness: true },
      [lakebaseModule],
      { guest: { connection, lakebase } },
    );

    other.controlPlane.answer('credentials', { status: 403 });
    await loseCredential(other, knexOf('guest'));
    expect(await probe(backend, 'readiness')).toEqual(OK);

    base.controlPlane.answer('credentials', { status: 403 });
    await loseCredential(base, knex);
    expect(await probe(backend, 'readiness')).toEqual(NO_CREDENTIAL);
  });

  it('has no say where another database service is in use', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', { status: 403 });
    const own = mockServices.database.mock();

    const { backend } = await startBackend(emulator, { readiness: true }, [
      ...[lakebaseModule, own.factory],
    ]);

    expect(await probe(backend, 'readiness')).toEqual(OK);
    expect(emulator.controlPlane.calls).toEqual([]);
  });
});

describe('without readiness: true', () => {
  it.each([{}, { readiness: false }])(
    'a backend is ready whatever the credential (%j)',
    async lakebase => {
      const emulator = await start.emulator();
      const { backend, knex } = await startBackend(emulator, lakebase);

      emulator.controlPlane.answer('credentials', { status: 503 });
      await loseCredential(emulator, knex);

      expect(await probe(backend, 'readiness')).toEqual(OK);
    },
  );
});

describe('a readiness that cannot have an effect', () => {
  const warnings = ({ lines }: Awaited<ReturnType<typeof startBackend>>) =>
    lines.filter(({ level }) => level === 'warn').map(line => line.message);

  it('gives way to a health service that the user added, and warns', async () => {
    const emulator = await start.emulator();
    const own = mockServices.rootHealth.mock({
      getReadiness: () => Promise.resolve({ status: 418, payload: {} }),
    });

    const started = await startBackend(emulator, { readiness: true }, [
      ...[lakebaseModule, own.factory],
    ]);

    expect(await probe(started.backend, 'readiness')).toMatchObject({
      status: 418,
    });
    expect(warnings(started)).toEqual([
      expect.stringContaining('lakebase.readiness has no effect'),
    ]);
  });

  it('warns when the module was added without its loader', async () => {
    const emulator = await start.emulator();

    const started = await startBackend(emulator, { readiness: true }, [
      lakebaseDatabaseServiceFactory,
    ]);

    expect(warnings(started)).toEqual([
      expect.stringContaining('lakebase.readiness has no effect'),
    ]);
  });

  it('says nothing where it has one', async () => {
    const emulator = await start.emulator();

    const started = await startBackend(emulator, { readiness: true });

    expect(warnings(started)).toEqual([]);
  });
});

describe('a credential that ran out unnoticed', () => {
  it('does not count until minting a new one has failed', async () => {
    const { clock, mint, refresher } = createRefresher();
    await refresher.token();

    clock.sleep(2 * HOUR);
    expect(refresher.stranded).toBe(false);
    mint.failsWith(busy());
    await refresher.token().catch(() => {});
    expect(refresher.stranded).toBe(true);
    mint.givesTokensFor(HOUR);
    await refresher.token();
    expect(refresher.stranded).toBe(false);
  });
});
