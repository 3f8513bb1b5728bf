import { Config } from '@backstage/config';
import { InputError } from '@backstage/errors';
import { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import { isNil, merge, omit } from 'lodash';
import { isBaseOnLakebase } from './activation';
import { DATABASE_KEY, DEFAULT_DATABASE, LakebaseConfig } from './config';
import {
  baseConnectionAt,
  baseKeyOf,
  ConnectionConfig,
  connectionAt,
  connectionOf,
} from './connectionConfig';

/** Databases are created at start, so the connection for it need not stay. */
const ADMIN_IDLE_TIMEOUT_MS = 5_000;

/** NAMEDATALEN - 1 of every build of Postgres that is in use. */
const MAX_IDENTIFIER_BYTES = 63;

/** Settings of `backend.database` itself; Knex gets whatever else lies there. */
const NOT_OF_KNEX = [
  'client',
  'connection',
  'ensureExists',
  'ensureSchemaExists',
  'knexConfig',
  'lakebase',
  'plugin',
  'pluginDivisionMode',
  'prefix',
  'role',
  'schemaPrefix',
  'skipMigrations',
];

/** Host and user may be absent: they are known to the workspace. */
export type PgConnection = Knex.PgConnectionConfig & {
  database: string;
  port: number;
};

/** What one plugin gets, after all of `backend.database` has been taken in. */
export interface PluginDatabase {
  /** Given to Knex as it is; host, port and user are completed by the caller. */
  knexConfig: Knex.Config;
  connection: PgConnection;
  role?: string;
  ensureDatabase: boolean;
  /** The schema to create when it is missing. */
  ensureSchema?: string;
  connectTimeoutMs: number;
}

/**
 * Merges `backend.database` and `backend.database.plugin.<id>` as Backstage's
 * own Postgres connector does.
 *
 * @throws InputError that names the key and the remedy.
 */
export function readPluginDatabase(
  rootConfig: Config,
  lakebase: LakebaseConfig,
  pluginId: string,
): PluginDatabase {
  const config = rootConfig.getConfig(DATABASE_KEY);
  const plugin = config.getOptionalConfig(`plugin.${pluginId}`);
  const schema = isSchemaMode(config)
    ? readSchemaName(config, pluginId)
    : undefined;
  const ensureExists = preferred(plugin, config, 'ensureExists') ?? true;
  const knexConfig: JsonObject = merge(
    omit(config.get<JsonObject>(), NOT_OF_KNEX),
    { useNullAsDefault: true },
    config.getOptionalConfig('knexConfig')?.get<JsonObject>(),
    plugin?.getOptionalConfig('knexConfig')?.get<JsonObject>(),
    // By index, as all else: what follows the schema is the user's.
    schema && { searchPath: [schema] },
  );
  const pool = readPool(knexConfig, lakebase.connectTimeoutMs);

  return {
    connection: readConnection(rootConfig, pluginId),
    knexConfig: {
      ...omit(knexConfig, 'connection'),
      client: 'pg',
      pool: pool.settings,
    },
    role: plugin?.getOptionalString('role') ?? config.getOptionalString('role'),
    ensureDatabase: ensureExists,
    ensureSchema:
      ensureExists || preferred(plugin, config, 'ensureSchemaExists')
        ? schema
        : undefined,
    connectTimeoutMs: pool.connectTimeoutMs,
  };
}

/** The connection that plugins have in common, but for their databases. */
export const readBaseConnection = (rootConfig: Config) =>
  connectionOf(baseConnectionAt(rootConfig), baseKeyOf(rootConfig, 'ssl'));

/** The database that a missing one is created from, by one connection at most. */
export function adminDatabaseOf(
  { connection, role }: PluginDatabase,
  lakebase: LakebaseConfig,
): PluginDatabase {
  const pool = readPool({}, lakebase.connectTimeoutMs);
  return {
    connection: {
      ...omit(connection, 'application_name'),
      port: connection.port,
      database: lakebase.adminDatabase,
    },
    knexConfig: {
      client: 'pg',
      pool: {
        ...pool.settings,
        max: 1,
        idleTimeoutMillis: ADMIN_IDLE_TIMEOUT_MS,
      },
    },
    role,
    ensureDatabase: false,
    connectTimeoutMs: pool.connectTimeoutMs,
  };
}

/** Whether all plugins share one database, each with a schema of its own. */
export function isSchemaMode(config: Config): boolean {
  return config.getOptionalString('pluginDivisionMode') === 'schema';
}

/** Whether the operator wants the plugin not to migrate its tables. */
export function readSkipMigrations(
  rootConfig: Config,
  pluginId: string,
): boolean {
  const config = rootConfig.getConfig(DATABASE_KEY);
  const plugin = config.getOptionalConfig(`plugin.${pluginId}`);
  return preferred(plugin, config, 'skipMigrations') ?? false;
}

function preferred(
  plugin: Config | undefined,
  base: Config,
  key: string,
): boolean | undefined {
  return plugin?.getOptionalBoolean(key) ?? base.getOptionalBoolean(key);
}

function readSchemaName(config: Config, pluginId: string): string {
  const prefix = config.getOptionalString('schemaPrefix') ?? '';
  if (prefix && !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(prefix)) {
    throw new InputError(
      `backend.database.schemaPrefix '${prefix}' must start with a letter or ` +
        'underscore and hold only letters, digits and underscores',
    );
  }
  const name = prefix + pluginId;
  // In a search path, Postgres would not cut it off as it does elsewhere.
  if (Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES) {
    throw new InputError(
      `The schema name '${name}' exceeds the ${MAX_IDENTIFIER_BYTES}-byte ` +
        'limit of Postgres. Shorten backend.database.schemaPrefix',
    );
  }
  return name;
}

function readConnection(rootConfig: Config, pluginId: string): PgConnection {
  const config = rootConfig.getConfig(DATABASE_KEY);
  const schemaMode = isSchemaMode(config);
  const ownKey = `${DATABASE_KEY}.plugin.${pluginId}.connection`;
  const base = inheritedConnection(rootConfig, pluginId);
  const own = connectionAt(rootConfig, ownKey);
  const merged: ConnectionConfig = merge(
    { application_name: `backstage_plugin_${pluginId}` },
    // In database mode the base database is nobody's own.
    schemaMode ? base : omit(base, 'database'),
    own,
  );
  const sslKey = own.ssl === undefined ? baseKeyOf(rootConfig, 'ssl') : ownKey;
  const prefix = config.getOptionalString('prefix') ?? 'backstage_plugin_';
  return {
    ...connectionOf(merged, sslKey),
    database:
      merged.database ?? (schemaMode ? DEFAULT_DATABASE : prefix + pluginId),
  };
}

/** The base connection, without what belongs to another server or login. */
function inheritedConnection(
  rootConfig: Config,
  pluginId: string,
): ConnectionConfig {
  // What belongs to another database system would fit nowhere.
  if (!isBaseOnLakebase(rootConfig)) return {};
  const base = baseConnectionAt(rootConfig);
  const own = `${DATABASE_KEY}.plugin.${pluginId}.lakebase`;
  if (rootConfig.has(`${own}.endpoint`)) {
    return omit(base, ['host', 'port', 'user', 'ssl.servername']);
  }
  return rootConfig.has(`${own}.workspace`) ? omit(base, 'user') : base;
}

function readPool(
  knexConfig: JsonObject,
  connectTimeoutMs: number,
): { settings: Knex.PoolConfig; connectTimeoutMs: number } {
  const given = (knexConfig.pool ?? {}) as Knex.PoolConfig;
  for (const [key, value] of Object.entries(given)) {
    if (typeof value === 'string') {
      throw new InputError(
        `backend.database.knexConfig.pool.${key} must not be a string`,
      );
    }
  }
  const settings = {
    min: 0,
    // Longer than our own deadline, or Knex's timeout would hide the cause.
    createTimeoutMillis: connectTimeoutMs + 5_000,
    // Knex takes the smaller one of the two.
    ...(isNil(knexConfig.acquireConnectionTimeout) && {
      acquireTimeoutMillis: connectTimeoutMs + 10_000,
    }),
    ...given,
  };
  const limits = [
    settings.acquireTimeoutMillis,
    settings.createTimeoutMillis,
    knexConfig.acquireConnectionTimeout,
  ].filter(limit => typeof limit === 'number');
  return {
    settings,
    connectTimeoutMs: Math.min(
      connectTimeoutMs,
      ...limits.map(limit => Math.max(limit - 1_000, limit / 2)),
    ),
  };
}
