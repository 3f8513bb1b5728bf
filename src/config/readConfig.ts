import type { Config } from '@backstage/config';
import { ConfigurationError } from '../errors';
import { type Blocks, readBlocks } from './blocks';
import { describeChanges, describeNotes } from './changesFromStock';
import {
  completeConnection,
  findBaseKey,
  readBaseConnection,
  readConnection,
} from './connectionSettings';
import { type MintingSettings, readMintingSettings } from './endpointSettings';
import type { Env } from './identitySources';
import { pluginKey } from './keys';
import { type LocalProxySettings, readLocalProxy } from './localProxySettings';
import { isLoopback } from '../databricks/loopback';
import {
  isSchemaMode,
  type PgConnection,
  type PluginDatabase,
  readDatabasePrefix,
  readPluginDatabase,
} from './pluginDatabase';

/** All that the configuration says of Lakebase, complete and checked. */
export interface Settings {
  endpoints: EndpointSettings[];
  /** Undefined for a plugin that Backstage's own service has. */
  forPlugin(pluginId: string): PluginSettings | undefined;
  /** Whether all plugins share one database, each with a schema of its own. */
  schemaMode: boolean;
  /** What the names of schemas, or else of databases, begin with. */
  namePrefix: string;
  /** How many connections the process may have open; undefined for any number. */
  maxConnections?: number;
  /** Whether the backend says that it is not ready without a credential. */
  readiness: boolean;
  /** Warnings about settings that all plugins share. */
  notes: string[];
}

/** One endpoint with the identity that logs in to it, and who is on it. */
export interface EndpointSettings extends MintingSettings {
  /** Whether it serves the plugins that are not mentioned by name. */
  base: boolean;
  /** Mentioned by name. */
  plugins: string[];
  /** How the plugins in general connect, or else the first one of `plugins`. */
  connection: Omit<PgConnection, 'database'>;
  /** Where `host` and `user` of that connection were found, if they were. */
  sources: { host?: string; user?: string };
  localProxy?: LocalProxySettings;
}

/** What one plugin gets. */
export interface PluginSettings {
  id: string;
  endpoint: EndpointSettings;
  database: PluginDatabase;
  /** What has another effect than with Backstage's own connector, in words. */
  changes: string[];
}

/**
 * Reads everything that the configuration says of Lakebase, so that a start
 * fails before anything is sent.
 *
 * @throws ConfigurationError that names the key and the remedy.
 */
export function readConfig(rootConfig: Config, env: Env): Settings {
  const blocks = readBlocks(rootConfig, env);
  const endpoints = readEndpoints(rootConfig, blocks, env);
  const base = endpoints.find(endpoint => endpoint.base);
  const forPlugin = (id: string): PluginSettings | undefined => {
    if (!blocks.isOnLakebase(id)) return undefined;
    const own = endpoints.find(({ plugins }) => plugins.includes(id));
    const endpoint = own ?? base!;
    return {
      id,
      endpoint,
      database: readPluginDatabase(blocks, endpoint, id),
      changes: describeChanges(blocks, id),
    };
  };
  checkVerification(
    [
      ...endpoints.map(({ connection }) => connection.host),
      ...[...blocks.plugins.keys()].map(
        id => forPlugin(id)!.database.connection.host,
      ),
      ...endpoints.map(it => new URL(it.workspaceHost.value).hostname),
    ],
    env,
  );
  const { maxConnections, readiness = false } = blocks.lakebase;
  const schemaMode = isSchemaMode(blocks);
  return {
    endpoints,
    forPlugin,
    schemaMode,
    namePrefix: schemaMode
      ? (blocks.database.schemaPrefix ?? '')
      : readDatabasePrefix(blocks),
    maxConnections,
    readiness,
    notes: describeNotes(blocks),
  };
}

/**
 * Groups plugins by endpoint and identity: each group shares one credential.
 */
function readEndpoints(
  rootConfig: Config,
  blocks: Blocks,
  env: Env,
): EndpointSettings[] {
  const found = new Map<string, EndpointSettings>();
  const add = (pluginId?: string): EndpointSettings => {
    const minting = readMintingSettings(rootConfig, blocks, env, pluginId);
    const key = identify(minting);
    const endpoint = found.get(key) ?? {
      ...minting,
      base: pluginId === undefined,
      plugins: [],
      ...connect(blocks, minting, pluginId),
    };
    found.set(key, endpoint);
    return endpoint;
  };
  if (blocks.base) {
    const base = add();
    base.localProxy = readLocalProxy(blocks, base.adminDatabase, env);
  }
  for (const id of blocks.plugins.keys()) add(id).plugins.push(id);
  return [...found.values()];
}

function identify({ endpoint, readWorkspace }: MintingSettings): string {
  const { host, workspaceId, method, clientId, identityKeys } = readWorkspace();
  // Without an id, an identity is known only by where its secret is.
  const login = clientId ?? [method, identityKeys];
  return JSON.stringify([endpoint.value, host, workspaceId, login]);
}

function connect(
  blocks: Blocks,
  minting: MintingSettings,
  pluginId?: string,
): Pick<EndpointSettings, 'connection' | 'sources'> {
  const ownKey =
    pluginId === undefined ? '' : `${pluginKey(pluginId)}.connection`;
  const own = readConnection(ownKey, blocks.plugins.get(pluginId!)?.connection);
  const connection =
    pluginId === undefined
      ? completeConnection(
          readBaseConnection(blocks),
          findBaseKey(blocks, 'ssl'),
        )
      : readPluginDatabase(blocks, minting, pluginId).connection;
  const find = (name: 'host' | 'user') => {
    if (connection[name] === undefined) return undefined;
    const key = own[name] === undefined ? findBaseKey(blocks, name) : ownKey;
    return `${key}.${name}`;
  };
  return { connection, sources: { host: find('host'), user: find('user') } };
}

function checkVerification(hosts: (string | undefined)[], env: Env): void {
  const local = hosts.every(host => host !== undefined && isLoopback(host));
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0' && !local) {
    throw new ConfigurationError(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 turns off the verification of servers ' +
        'that credentials are sent to',
      'Unset it, and trust a private CA with NODE_EXTRA_CA_CERTS instead',
    );
  }
}
