import { EventEmitter, once } from 'node:events';
import {
  coreServices,
  createServiceFactory,
  type DatabaseService,
  type LoggerService,
  type RootInstanceMetadataServicePluginInfo,
} from '@backstage/backend-plugin-api';
import { ConfigReader } from '@backstage/config';
import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import { merge } from 'lodash';
import type { Client } from 'pg';
import {
  databaseConfig,
  type Emulator,
  type EmulatorOptions,
} from '../../emulator';
import type { Clock } from '../../src/time/clock';
import { Lakebase } from '../../src/lakebase';
import { startTestEmulator } from './emulator';

export interface LogLine {
  level: 'error' | 'warn' | 'info' | 'debug';
  message: string;
}

/** A logger that keeps what it is told, at every level. */
export function keepingLogger() {
  const lines: LogLine[] = [];
  const told = new EventEmitter();
  const at = (level: LogLine['level']) => (message: string) => {
    lines.push({ level, message });
    told.emit('line');
  };
  const logger: LoggerService = {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: () => logger,
  };
  /** Resolves with the first line like this, which may be there already. */
  const logged = async (pattern: RegExp): Promise<LogLine> => {
    for (;;) {
      const line = lines.find(({ message }) => pattern.test(message));
      if (line) return line;
      await once(told, 'line');
    }
  };
  return { logger, lines, logged };
}

/** The same, as the root logger of a backend. */
export function keepingRootLogger() {
  const { logger, lines } = keepingLogger();
  const rootLogger = createServiceFactory({
    service: coreServices.rootLogger,
    deps: {},
    factory: () => logger,
  });
  return { rootLogger, lines };
}

/** A process that runs the module, without the rest of a backend. */
export interface TestLakebase {
  forPlugin(pluginId: string): DatabaseService;
  getClient(pluginId: string): Promise<Knex>;
  lines: LogLine[];
  /** Resolves with the first line like this, which may be there already. */
  logged(pattern: RegExp): Promise<LogLine>;
  /** What comes before the first plugin. */
  prepareForBypassing(): Promise<void>;
  /** What a backend's start and shutdown would run. */
  announce(): Promise<void>;
  stop(): Promise<void>;
}

/** Configuration that fits the emulator, changed by what a test gives. */
export function lakebaseConfig(
  emulator: Emulator,
  overrides: JsonObject = {},
): JsonObject {
  const database = merge(databaseConfig(emulator), overrides);
  return { backend: { database } };
}

/** What the module finds where it runs. */
export interface Surroundings {
  installed?: RootInstanceMetadataServicePluginInfo[];
  env?: Record<string, string>;
  clock?: Clock;
}

export const startLakebase = (
  emulator: Emulator,
  overrides: JsonObject = {},
  surroundings: Surroundings = {},
): TestLakebase =>
  startLakebaseBy(lakebaseConfig(emulator, overrides), surroundings);

/** The same, by an app-config of any origin. */
export function startLakebaseBy(
  config: JsonObject,
  surroundings: Surroundings = {},
): TestLakebase {
  const { installed = [], env = {}, clock } = surroundings;
  const { logger, lines, logged } = keepingLogger();
  const onStartup: (() => void | Promise<void>)[] = [];
  const onShutdown: (() => void | Promise<void>)[] = [];
  const lakebase = Lakebase.create({
    rootConfig: new ConfigReader(config),
    logger,
    lifecycle: {
      addStartupHook: hook => onStartup.push(hook),
      addShutdownHook: hook => onShutdown.push(hook),
      addBeforeShutdownHook: () => {},
    },
    metadata: { getInstalledPlugins: () => Promise.resolve(installed) },
    env,
    clock,
  });
  return {
    forPlugin: pluginId => lakebase.forPlugin(pluginId)!,
    getClient: pluginId => lakebase.forPlugin(pluginId)!.getClient(),
    lines,
    logged,
    prepareForBypassing: () => lakebase.prepareForBypassing(),
    announce: async () => {
      for (const hook of onStartup) await hook();
    },
    stop: async () => {
      for (const hook of onShutdown.splice(0)) await hook();
    },
  };
}

/**
 * Emulators and lakebases of one test file, all stopped after each test, which
 * must then have left no connection behind.
 */
export function lakebaseTests() {
  const running: TestLakebase[] = [];
  const emulators: Emulator[] = [];

  afterEach(async () => {
    await Promise.all(running.splice(0).map(lakebase => lakebase.stop()));
    for (const emulator of emulators.splice(0)) {
      await emulator.gateway.drained();
      await emulator.stop();
    }
  });

  return {
    async emulator(options: Partial<EmulatorOptions> = {}) {
      const emulator = await startTestEmulator(options);
      emulators.push(emulator);
      return emulator;
    },
    lakebase(...options: Parameters<typeof startLakebase>) {
      const lakebase = startLakebase(...options);
      running.push(lakebase);
      return lakebase;
    },
  };
}

/** Ends every session on the server and waits until its client knows it. */
export async function killSessions(
  emulator: Emulator,
  ...pools: Knex[]
): Promise<void> {
  const ended = pools.flatMap(pool => freeConnections(pool).map(endOf));
  await emulator.gateway.dropConnections();
  await Promise.all(ended);
}

const endOf = (connection: Client) =>
  new Promise<void>(resolve => connection.once('end', resolve));

/** The connections that lie idle in a pool. */
export function freeConnections(knex: Knex): Client[] {
  const { pool } = knex.client as {
    pool: { free: { resource: Client }[] };
  };
  return pool.free.map(({ resource }) => resource);
}

/** Runs queries at once, so that each takes a connection of its own. */
export async function queryInParallel(
  knex: Knex,
  count: number,
): Promise<unknown[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const { rows } = await knex.raw<{ rows: unknown[] }>(
        'select pg_backend_pid() as pid, pg_sleep(0.05)',
      );
      return rows;
    }),
  );
}
