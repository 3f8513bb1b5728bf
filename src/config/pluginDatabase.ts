import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import { merge, omit } from 'lodash';
import { ConfigurationError } from '../errors';
import type { Blocks } from './blocks';
import {
  completeConnection,
  type ConnectionSettings,
  findBaseKey,
  readBaseConnection,
  readConnection,
} from './connectionSettings';
import { DEFAULT_DATABASE, type MintingSettings } from './endpointSettings';
import { DATABASE_KEY, pluginKey } from './keys';
import { readPool } from './poolSettings';

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
  'keepalive',
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
  /** Whether the operator wants the plugin not to migrate its tables. */
  skipMigrations: boolean;
  connectTimeoutMs: number;
}

/**
 * Merges `backend.database` and `backend.database.plugin.<id>` as Backstage's
 * own Postgres connector does.
 *
 * @throws ConfigurationError that names the key and the remedy.
 */
export function readPluginDatabase(
  blocks: Blocks,
  { connectTimeoutMs }: MintingSettings,
  pluginId: string,
): PluginDatabase {
  const { database } = blocks;
  const plugin = blocks.plugins.get(pluginId) ?? {};
  const schema = isSchemaMode(blocks)
    ? nameSchema(blocks, pluginId)
    : undefined;
  const ensureExists = plugin.ensureExists ?? database.ensureExists ?? true;
  const knexConfig = merge(
    {},
    omit(database, NOT_OF_KNEX),
    { useNullAsDefault: true },
    database.knexConfig,
    plugin.knexConfig,
    // By index, as all else: what follows the schema is the user's.
    schema && { searchPath: [schema] },
  ) as JsonObject;
  const pool = readPool(knexConfig, connectTimeoutMs);

  return {
    connection: mergeConnection(blocks, pluginId),
    knexConfig: {
      ...omit(knexConfig, 'connection'),
      client: 'pg',
      pool: pool.settings,
    },
    role: plugin.role ?? database.role,
    ensureDatabase: ensureExists,
    ensureSchema:
      ensureExists || (plugin.ensureSchemaExists ?? database.ensureSchemaExists)
        ? schema
        : undefined,
    skipMigrations: plugin.skipMigrations ?? database.skipMigrations ?? false,
    connectTimeoutMs: pool.connectTimeoutMs,
  };
}

/** The database that a missing one is created from, by one connection at most. */
export function toAdminDatabase(
  { connection, role }: PluginDatabase,
  { adminDatabase, connectTimeoutMs }: MintingSettings,
): PluginDatabase {
  const pool = readPool({}, connectTimeoutMs);
  return {
    connection: {
      ...omit(connection, 'application_name'),
      port: connection.port,
      database: adminDatabase,
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
    skipMigrations: true,
    connectTimeoutMs: pool.connectTimeoutMs,
  };
}

/** Whether all plugins share one database, each with a schema of its own. */
export const isSchemaMode = ({ database }: Blocks): boolean =>
  database.pluginDivisionMode === 'schema';

function nameSchema({ database }: Blocks, pluginId: string): string {
  const prefix = database.schemaPrefix ?? '';
  if (prefix && !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(prefix)) {
    throw new ConfigurationError(
      `${DATABASE_KEY}.schemaPrefix '${prefix}' must start with a letter or ` +
        'underscore and hold only letters, digits and underscores',
    );
  }
  const name = prefix + pluginId;
  // In a search path, Postgres would not cut it off as it does elsewhere.
  if (Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES) {
    throw new ConfigurationError(
      `The schema name '${name}' exceeds the ${MAX_IDENTIFIER_BYTES}-byte ` +
        'limit of Postgres',
      `Shorten ${DATABASE_KEY}.schemaPrefix`,
    );
  }
  return name;
}

/** What names a plugin's database in database mode. */
export const readDatabasePrefix = ({ database }: Blocks): string =>
  database.prefix ?? 'backstage_plugin_';

function mergeConnection(blocks: Blocks, pluginId: string): PgConnection {
  const schemaMode = isSchemaMode(blocks);
  const ownKey = `${pluginKey(pluginId)}.connection`;
  const base = inheritConnection(blocks, pluginId);
  const own = readConnection(ownKey, blocks.plugins.get(pluginId)?.connection);
  const merged: ConnectionSettings = merge(
    { application_name: `backstage_plugin_${pluginId}` },
    // In database mode the base database is nobody's own.
    schemaMode ? base : omit(base, 'database'),
    own,
  );
  const sslKey = own.ssl === undefined ? findBaseKey(blocks, 'ssl') : ownKey;
  return {
    ...completeConnection(merged, sslKey),
    database:
      merged.database ??
      (schemaMode ? DEFAULT_DATABASE : readDatabasePrefix(blocks) + pluginId),
  };
}

/** The base connection, without what belongs to another server or login. */
function inheritConnection(
  blocks: Blocks,
  pluginId: string,
): ConnectionSettings {
  // What belongs to another database system would fit nowhere.
  if (!blocks.base) return {};
  const base = readBaseConnection(blocks);
  const own = blocks.plugins.get(pluginId)?.lakebase;
  if (own?.endpoint !== undefined) {
    return omit(base, ['host', 'port', 'user', 'ssl.servername']);
  }
  return own?.workspace ? omit(base, 'user') : base;
}
