import { randomBytes } from 'node:crypto';
import type {
  DatabaseService,
  RootLifecycleService,
} from '@backstage/backend-plugin-api';
import { DatabaseManager } from '@backstage/backend-defaults/database';
import { Config, ConfigReader } from '@backstage/config';
import type { JsonObject, JsonValue } from '@backstage/types';
import { merge } from 'lodash';
import {
  databaseConfig,
  startEmulator,
  type Emulator,
  type PostgresServer,
} from '../../emulator';
import { Lakebase } from '../../src/lakebase';
import { silentLogger } from '../../testbed/silence';

const STOCK_USER = 'stock_backstage';

/** Roles that both logins are members of. */
const ROLES = ['portal_owner', 'other_owner'];

type DatabaseOf = (pluginId: string) => DatabaseService;

/** One of the two database services, and the installation around it. */
export interface Side {
  name: 'stock' | 'ours';
  start(rootConfig: Config, rootLifecycle: RootLifecycleService): DatabaseOf;
  /** What `backend.database` must say to reach the server at all. */
  base: JsonObject;
  /** What a row's {placeholders} stand for. */
  values: Record<string, string>;
}

export interface Sides {
  stock: Side;
  ours: Side;
  /** Runs as superuser. */
  query: Emulator['query'];
  /** Leaves the server as it was before a row. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** The stock service on plain Postgres, ours on the emulator before it. */
export async function startSides(postgres: PostgresServer): Promise<Sides> {
  const emulator = await startEmulator({ postgres });
  const { clientId } = emulator.servicePrincipal;
  const password = randomBytes(16).toString('hex');
  const { query } = emulator;

  await emulator.createRole(STOCK_USER, { attributes: 'CREATEDB' });
  await query(`alter role ${STOCK_USER} password '${password}'`);
  for (const role of ROLES) {
    await emulator.createRole(role, { attributes: 'CREATEDB' });
    await query(`grant ${role} to ${STOCK_USER}, "${clientId}"`);
  }
  const users = [STOCK_USER, clientId, ...ROLES];
  return {
    stock: stockSide(postgres, password),
    ours: ourSide(emulator),
    query,
    reset: () => reset(query, users),
    stop: async () => {
      await reset(query, users);
      await emulator.stop();
    },
  };
}

function stockSide({ host, port }: PostgresServer, password: string): Side {
  return {
    name: 'stock',
    start: startStock,
    base: {
      client: 'pg',
      connection: { host, port, user: STOCK_USER, password },
    },
    values: {
      host,
      port: String(port),
      user: STOCK_USER,
      login: `${STOCK_USER}:${password}`,
      tls: 'sslmode=disable',
    },
  };
}

function ourSide(emulator: Emulator): Side {
  const { clientId } = emulator.servicePrincipal;
  return {
    name: 'ours',
    start: startOurs,
    base: databaseConfig(emulator),
    values: {
      host: emulator.gateway.host,
      port: String(emulator.gateway.port),
      user: clientId,
      login: clientId,
      tls: `sslrootcert=${emulator.ca.certFile}`,
    },
  };
}

async function reset(query: Emulator['query'], users: string[]) {
  const databases = await query(
    `select datname from pg_database where datname <> 'databricks_postgres'
       and pg_get_userbyid(datdba) = any($1)`,
    [users],
  );
  for (const { datname } of databases) {
    // The stock connector may have left a connection behind.
    await query(`drop database "${datname}" with (force)`);
  }
  const schemas = await query(
    `select nspname from pg_namespace
     where nspname !~ '^pg_' and nspname not in ('public', 'information_schema')`,
  );
  for (const { nspname } of schemas) {
    await query(`drop schema "${nspname}" cascade`);
  }
  for (const user of users) await query(`alter role "${user}" createdb`);
  await query('grant connect on database postgres to public');
}

/** Replaces {placeholders} in every string. */
export function needFilled<T extends JsonValue>(value: T, side: Side): T {
  const text = JSON.stringify(value).replace(
    /\{(host|port|user|login|tls)\}/g,
    (_, key: string) => side.values[key],
  );
  return JSON.parse(text) as T;
}

const startStock: Side['start'] = (rootConfig, rootLifecycle) => {
  const logger = silentLogger;
  const manager = DatabaseManager.fromConfig(rootConfig, {
    rootLogger: logger,
    rootLifecycle,
  });
  const lifecycle = { addStartupHook: () => {}, addShutdownHook: () => {} };
  const deps = { logger, lifecycle };
  return pluginId => manager.forPlugin(pluginId, deps);
};

const startOurs: Side['start'] = (rootConfig, lifecycle) => {
  const lakebase = Lakebase.create({
    rootConfig,
    logger: silentLogger,
    lifecycle,
    metadata: { getInstalledPlugins: () => Promise.resolve([]) },
    env: {},
  });
  const stock = startStock(rootConfig, lifecycle);
  return pluginId => lakebase.forPlugin(pluginId) ?? stock(pluginId);
};

/** A process with this configuration, up to the database of a plugin. */
export function startService(side: Side, database: JsonObject) {
  const onShutdown: (() => void | Promise<void>)[] = [];
  const backend = {
    database: merge({}, side.base, needFilled(database, side)),
  };
  return {
    forPlugin: (pluginId: string) =>
      side.start(new ConfigReader({ backend }), {
        addStartupHook: () => {},
        addBeforeShutdownHook: () => {},
        addShutdownHook: hook => onShutdown.push(hook),
      })(pluginId),
    shutdown: async () => {
      for (const hook of onShutdown.splice(0)) await hook();
    },
  };
}
