import { parseArgs } from 'node:util';
import {
  coreServices,
  createBackendPlugin,
  createServiceFactory,
  LoggerService,
} from '@backstage/backend-plugin-api';
import { mockServices, startTestBackend } from '@backstage/backend-test-utils';
import type { Knex } from 'knex';
import {
  databaseConfig,
  startEmulator,
  startPostgresProcess,
} from '../emulator';
import lakebaseModule from '../src';

const PLUGINS = 20;
const QUERIES_AT_ONCE = 3;
const CREDENTIAL_LIFE_MS = 30_000;
const SHORT_MS = 100_000;

/** Between two queries of one caller, as in a portal that is in use. */
const THINK_MS = 20;

interface Tally {
  queries: number;
  failures: string[];
}

/** Queries on and on until `until`, and counts. */
async function load(knex: Knex, tally: Tally, until: number): Promise<void> {
  while (Date.now() < until) {
    try {
      await knex.raw('select pg_sleep(0.002)');
      tally.queries += 1;
    } catch (error) {
      tally.failures.push(String(error));
    }
    await new Promise(resolve => setTimeout(resolve, THINK_MS));
  }
}

/** A plugin that uses its database all the time. */
function busyPlugin(
  index: number,
  tally: Tally,
  loads: Promise<void>[],
  until: number,
) {
  return createBackendPlugin({
    pluginId: `busy-${index}`,
    register(env) {
      env.registerInit({
        deps: { database: coreServices.database },
        async init({ database }) {
          const knex = await database.getClient();
          for (let i = 0; i < QUERIES_AT_ONCE; i++) {
            loads.push(load(knex, tally, until));
          }
        },
      });
    },
  });
}

/** Repeats what the module says at warn and error: a quiet run says nothing. */
function complaints(): { logger: LoggerService; said: string[] } {
  const said: string[] = [];
  const complain = (message: string) => {
    said.push(message);
    console.log(message);
  };
  const logger: LoggerService = {
    error: complain,
    warn: complain,
    info: () => {},
    debug: () => {},
    child: () => logger,
  };
  return { logger, said };
}

async function soak(durationMs: number): Promise<boolean> {
  const unhandled: unknown[] = [];
  process.on('unhandledRejection', error => unhandled.push(error));
  const { logger, said } = complaints();
  const postgres = await startPostgresProcess();
  const emulator = await startEmulator({
    postgres,
    credentialLifeMs: CREDENTIAL_LIFE_MS,
  });
  const tally: Tally = { queries: 0, failures: [] };
  const loads: Promise<void>[] = [];
  const config = databaseConfig(emulator);
  const begun = Date.now();

  const backend = await startTestBackend({
    features: [
      createServiceFactory({
        service: coreServices.rootLogger,
        deps: {},
        factory: () => logger,
      }),
      mockServices.rootConfig.factory({
        data: {
          backend: {
            database: {
              ...config,
              pluginDivisionMode: 'schema',
              lakebase: {
                ...config.lakebase,
                maxConnectionAge: { seconds: 3 },
              },
            },
          },
        },
      }),
      lakebaseModule,
      ...Array.from({ length: PLUGINS }, (_, index) =>
        busyPlugin(index, tally, loads, begun + durationMs),
      ),
    ],
  });
  const mintsAtStart = emulator.controlPlane.count('credentials');
  console.log(
    `${PLUGINS} plugins started after ${Date.now() - begun} ms; querying for ` +
      `${durationMs / 1000} s`,
  );
  await Promise.all(loads);
  const mints = emulator.controlPlane.count('credentials');
  // A 30 s credential is renewed at half of its life, not sooner.
  const rotations = Math.floor((Date.now() - begun) / (CREDENTIAL_LIFE_MS / 2));
  const logins = emulator.gateway.logins.length;
  const refusals = emulator.gateway.refusals.length;
  const credentialsUsed = new Set(
    emulator.gateway.logins.map(({ tokenId }) => tokenId),
  ).size;

  await backend.stop();
  await emulator.gateway.drained();
  await emulator.stop();
  await postgres.stop();

  const table: [what: string, found: number, ok: boolean][] = [
    ['queries', tally.queries, tally.queries > 0],
    ['failed queries', tally.failures.length, tally.failures.length === 0],
    ['mints at start', mintsAtStart, mintsAtStart === 1],
    ['mints in all', mints, mints <= rotations + 1],
    ['rotations due', rotations, true],
    ['credentials used', credentialsUsed, credentialsUsed === mints],
    ['logins', logins, logins > PLUGINS],
    ['refused logins', refusals, refusals === 0],
    ['warnings and errors', said.length, said.length === 0],
    ['unhandled rejections', unhandled.length, unhandled.length === 0],
  ];
  for (const [what, found, ok] of table) {
    console.log(
      `${what.padEnd(22)}${String(found).padStart(8)}  ${ok ? 'ok' : 'FAILED'}`,
    );
  }
  tally.failures.slice(0, 5).forEach(failure => console.log(failure));
  return table.every(([, , ok]) => ok);
}

const { values } = parseArgs({ options: { short: { type: 'boolean' } } });
if (!values.short) {
  console.error('Usage: npm run soak -- --short');
  process.exit(2);
}
void soak(SHORT_MS).then(ok => {
  process.exitCode = ok ? 0 : 1;
});
