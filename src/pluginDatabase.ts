import { Config } from '@backstage/config';
import { InputError } from '@backstage/errors';
import { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import { merge, omit } from 'lodash';
import { DEFAULT_DATABASE, LAKEBASE_KEY, LakebaseConfig } from './config';
import {
  ConnectionConfig,
  connectionAt,
  connectionOf,
} from './connectionConfig';
import { isLoopback } from './loopback';

/** Databases are created at start, so the connection for it need not stay. */
const ADMIN_IDLE_TIMEOUT_MS = 5_000;

const BASE_CONNECTION = 'backend.database.connection';

/** NAMEDATALEN - 1 of every build of Postgres that is in use. */
const MAX_IDENTIFIER_BYTES = 63;

/** Host and user may be absent: they are known to the workspace. */
type PgConnection = Knex.PgConnectionConfig & {
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
  const config = rootConfig.getConfig('backend.database');
  const plugin = config.getOptionalConfig(`plugin.${pluginId}`);
  const schemaMode = isSchemaMode(config);
  const schema = schemaMode ? readSchemaName(config, pluginId) : undefined;
  const ensureExists = preferred(plugin, config, 'ensureExists') ?? true;
  const knexConfig = merge(
    {},
    config.getOptional<JsonObject>('knexConfig'),
    plugin?.getOptional<JsonObject>('knexConfig'),
  );
  const pool = readPool(knexConfig, lakebase.connectTimeoutMs);

  return {
    connection: readConnection(config, pluginId, schemaMode),
    knexConfig: {
      ...omit(knexConfig, 'connection'),
      ...(schema && { searchPath: [schema] }),
      client: 'pg',
      useNullAsDefault: true,
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

/** The database that missing ones are created from, by one connection at most. */
export function readAdminDatabase(
  rootConfig: Config,
  lakebase: LakebaseConfig,
): PluginDatabase {
  const config = rootConfig.getConfig('backend.database');
  const pool = readPool({}, lakebase.connectTimeoutMs);
  return {
    connection: {
      ...connectionOf(connectionAt(config, BASE_CONNECTION), BASE_CONNECTION),
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
    role: config.getOptionalString('role'),
    ensureDatabase: false,
    connectTimeoutMs: pool.connectTimeoutMs,
  };
}

/**
 * Checks the rules that hold for every plugin, so that a start fails before
 * anything is sent.
 *
 * @throws InputError that names the key and the remedy.
 */
export function checkDatabaseConfig(
  rootConfig: Config,
  lakebase: LakebaseConfig,
  env: Record<string, string | undefined>,
): void {
  const config = rootConfig.getConfig('backend.database');
  const client = config.getOptionalString('client');
  if (client !== 'pg') {
    throw new InputError(
      `backend.database.client must be pg beside ${LAKEBASE_KEY}, but is ` +
        `'${client}'`,
    );
  }
  isSchemaMode(config);
  const hosts = [readAdminDatabase(rootConfig, lakebase).connection.host];
  const plugins = config.getOptionalConfig('plugin');
  for (const id of plugins?.keys() ?? []) {
    if (plugins!.has(`${id}.lakebase`)) {
      throw new InputError(
        `backend.database.plugin.${id}.lakebase is not supported: all plugins ` +
          `share ${LAKEBASE_KEY}`,
      );
    }
    if (!runsOnPostgres(config, id)) continue;
    const { host } = readPluginDatabase(rootConfig, lakebase, id).connection;
    hosts.push(host);
  }
  const local =
    isLoopback(new URL(lakebase.workspaceHost.value).hostname) &&
    hosts.every(host => host !== undefined && isLoopback(host));
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0' && !local) {
    throw new InputError(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 turns off the verification of servers ' +
        'that credentials are sent to. Unset it, and trust a private CA with ' +
        'NODE_EXTRA_CA_CERTS instead',
    );
  }
}

/** Whether a plugin stays with Postgres: a developer may give it SQLite. */
export function runsOnPostgres(config: Config, pluginId: string): boolean {
  const client = config.getOptionalString(`plugin.${pluginId}.client`);
  return client === undefined || client === 'pg';
}

/** Whether all plugins share one database, each with a schema of its own. */
export function isSchemaMode(config: Config): boolean {
  const mode = config.getOptionalString('pluginDivisionMode') ?? 'database';
  if (mode !== 'database' && mode !== 'schema') {
    throw new InputError(
      "backend.database.pluginDivisionMode must be 'database' or 'schema', " +
        `but is '${mode}'`,
    );
  }
  return mode === 'schema';
}

/** Whether the operator wants the plugin not to migrate its tables. */
export function readSkipMigrations(
  rootConfig: Config,
  pluginId: string,
): boolean {
  const config = rootConfig.getConfig('backend.database');
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
  return checkedName(prefix + pluginId, 'backend.database.schemaPrefix');
}

/** Postgres would cut a longer name off, silently. */
function checkedName(name: string, prefixKey: string): string {
  if (Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES) {
    throw new InputError(
      `The name '${name}' exceeds the ${MAX_IDENTIFIER_BYTES} bytes that ` +
        `Postgres keeps. Shorten ${prefixKey}`,
    );
  }
  return name;
}

function readConnection(
  config: Config,
  pluginId: string,
  schemaMode: boolean,
): PgConnection {
  const ownKey = `backend.database.plugin.${pluginId}.connection`;
  const base = connectionAt(config, BASE_CONNECTION);
  const own = connectionAt(config, ownKey);
  const merged: ConnectionConfig = merge(
    { application_name: `backstage_plugin_${pluginId}` },
    // In database mode the base database is nobody's own.
    schemaMode ? base : omit(base, 'database'),
    own,
  );
  const prefix = config.getOptionalString('prefix') ?? 'backstage_plugin_';
  return {
    ...connectionOf(merged, own.ssl === undefined ? BASE_CONNECTION : ownKey),
    database:
      merged.database ??
      (schemaMode
        ? DEFAULT_DATABASE
        : checkedName(prefix + pluginId, 'backend.database.prefix')),
  };
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
    acquireTimeoutMillis: connectTimeoutMs + 10_000,
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
