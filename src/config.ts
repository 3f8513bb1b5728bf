import {
  Config,
  ConfigReader,
  readDurationFromConfig,
} from '@backstage/config';
import { InputError } from '@backstage/errors';
import { durationToMilliseconds } from '@backstage/types';
import { z } from 'zod';
import {
  LakebaseBlock,
  lakebaseSchema,
  PluginLakebaseBlock,
  pluginLakebaseSchema,
  WorkspaceBlock,
} from './configSchema';
import type { WorkspaceSettings } from './databricks/workspace';
import { isLoopback } from './loopback';

export const DATABASE_KEY = 'backend.database';

/** Where the block lies in app-config. */
export const LAKEBASE_KEY = `${DATABASE_KEY}.lakebase`;

/** The database that every Lakebase branch is born with. */
export const DEFAULT_DATABASE = 'databricks_postgres';

/** A wake-up takes seconds, the start of a new compute up to a minute. */
const DEFAULT_CONNECT_TIMEOUT_MS = 60_000;

/** Lakebase may close a connection that is 24 h idle or 3 days old. */
const DEFAULT_MAX_CONNECTION_AGE_MS = 45 * 60_000;

/** Lakebase guarantees no connection for longer. */
const MAX_DURATION_MS = 24 * 60 * 60_000;

/** What the platform accepts as `ttl` of a credential. */
const MIN_LIFETIME_MS = 5 * 60_000;
const MAX_LIFETIME_MS = 60 * 60_000;

type Env = Record<string, string | undefined>;

/** A setting with the place where it was found, for messages. */
export interface Sourced<T> {
  value: T;
  source: string;
}

/** What `lakebase` of the base or of a plugin says, checked and completed. */
export interface LakebaseConfig {
  endpoint: Sourced<string>;
  workspaceHost: Sourced<string>;
  /**
   * Reads the secret anew, since secrets are replaced on disk; host and client
   * id stay what they were at start.
   *
   * @throws InputError
   */
  readWorkspace: () => WorkspaceSettings;
  credentialLifetimeMs?: number;
  adminDatabase: string;
  localProxy: boolean;
  connectTimeoutMs: number;
  maxConnectionAgeMs: number;
}

/** What the base says, under what a plugin says for itself. */
interface Blocks {
  shared: LakebaseBlock;
  own?: PluginLakebaseBlock;
  /** Of the block that speaks for the plugin. */
  key: string;
}

/**
 * Reads and checks what `lakebase` says for a plugin, or for all that say
 * nothing for themselves, with `DATABRICKS_*` and `LAKEBASE_ENDPOINT` for what
 * is left out.
 *
 * @throws InputError that names the key and the remedy.
 */
export function readLakebaseConfig(
  rootConfig: Config,
  env: Env,
  pluginId?: string,
): LakebaseConfig {
  const blocks = readBlocks(rootConfig, pluginId);
  const { shared } = blocks;
  const atStart = readWorkspaceSettings(blocks, env);
  const readWorkspace = () => {
    const now = readWorkspaceSettings(readBlocks(rootConfig, pluginId), env);
    if (now.clientId !== atStart.clientId) {
      throw new InputError(
        `The client id of ${atStart.identityKeys} has changed, but open pools ` +
          'log in as the former one. Restart to follow',
      );
    }
    return { ...atStart, clientSecret: now.clientSecret };
  };

  return {
    endpoint: readEndpoint(blocks, env),
    workspaceHost: readWorkspaceHost(workspaceOf(blocks), env),
    readWorkspace,
    credentialLifetimeMs: readLifetime(shared),
    adminDatabase: trimmed(shared.adminDatabase) ?? DEFAULT_DATABASE,
    localProxy: shared.localProxy ?? false,
    connectTimeoutMs: readPositiveDuration(
      shared,
      'connectTimeout',
      DEFAULT_CONNECT_TIMEOUT_MS,
    ),
    maxConnectionAgeMs: readPositiveDuration(
      shared,
      'maxConnectionAge',
      DEFAULT_MAX_CONNECTION_AGE_MS,
    ),
  };
}

function readBlocks(rootConfig: Config, pluginId?: string): Blocks {
  const shared = readBlock(rootConfig, LAKEBASE_KEY, lakebaseSchema) ?? {};
  const key = `${DATABASE_KEY}.plugin.${pluginId}.lakebase`;
  const own =
    pluginId === undefined
      ? undefined
      : readBlock(rootConfig, key, pluginLakebaseSchema);
  return { shared, own, key: own ? key : LAKEBASE_KEY };
}

function readBlock<T>(
  rootConfig: Config,
  key: string,
  schema: z.ZodType<T>,
): T | undefined {
  if (!rootConfig.has(key)) return undefined;
  const result = schema.safeParse(rootConfig.get(key));
  if (!result.success) {
    const problems = result.error.issues.map(
      issue => `${[key, ...issue.path].join('.')}: ${issue.message}`,
    );
    throw new InputError(`Invalid configuration. ${problems.join('. ')}`);
  }
  return result.data;
}

interface Workspace {
  key: string;
  block: WorkspaceBlock;
}

/** A plugin's own workspace replaces the shared one as a whole. */
const workspaceOf = ({ shared, own, key }: Blocks): Workspace =>
  own?.workspace
    ? { key: `${key}.workspace`, block: own.workspace }
    : { key: `${LAKEBASE_KEY}.workspace`, block: shared.workspace ?? {} };

const ID = '[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?';
const ENDPOINT = new RegExp(`^projects/${ID}/branches/${ID}/endpoints/${ID}$`);

function readEndpoint({ shared, own, key }: Blocks, env: Env): Sourced<string> {
  const endpoint = pick(
    [`${key}.endpoint`, own?.endpoint],
    [`${LAKEBASE_KEY}.endpoint`, shared.endpoint],
    ['LAKEBASE_ENDPOINT', env.LAKEBASE_ENDPOINT],
  );
  if (!endpoint) {
    throw new InputError(
      `${key}.endpoint is missing. Set it, or LAKEBASE_ENDPOINT, to ` +
        'the path of the endpoint: projects/P/branches/B/endpoints/E',
    );
  }
  if (!ENDPOINT.test(endpoint.value)) {
    throw new InputError(
      `${endpoint.source} is not the path of an endpoint. Expected ` +
        'projects/P/branches/B/endpoints/E, each an id of 1 to 63 lower-case ' +
        `letters, digits and hyphens, but got '${endpoint.value}'`,
    );
  }
  return endpoint;
}

function readWorkspaceHost(
  { key, block }: Workspace,
  env: Env,
): Sourced<string> {
  const host = pick(
    [`${key}.host`, block.host],
    ['DATABRICKS_HOST', env.DATABRICKS_HOST],
  );
  if (!host) {
    throw new InputError(
      `${key}.host is missing. Set it, or DATABRICKS_HOST, ` +
        "to the workspace's URL, such as https://dbc-1234.cloud.databricks.com",
    );
  }
  return { ...host, value: workspaceOrigin(host) };
}

function workspaceOrigin({ value, source }: Sourced<string>): string {
  const withScheme = /^[a-z]+:\/\//i.test(value) ? value : `https://${value}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (!url || url.username || url.password) {
    throw new InputError(
      `${source} is not the URL of a workspace, such as ` +
        'https://dbc-1234.cloud.databricks.com',
    );
  }
  const secure =
    url.protocol === 'https:' ||
    (url.protocol === 'http:' && isLoopback(url.hostname));
  if (!secure) {
    throw new InputError(
      `${source} must start with https://, since the client secret is sent ` +
        'there. Plain http is accepted to a loopback address only',
    );
  }
  return url.origin;
}

/** Client id and secret come from one source, the block before the environment. */
function readWorkspaceSettings(blocks: Blocks, env: Env): WorkspaceSettings {
  const workspace = workspaceOf(blocks);
  const { key, block } = workspace;
  const own = {
    id: trimmed(block.clientId),
    secret: trimmed(block.clientSecret),
  };
  const inBlock = own.id !== undefined || own.secret !== undefined;
  const { id, secret } = inBlock
    ? own
    : {
        id: trimmed(env.DATABRICKS_CLIENT_ID),
        secret: trimmed(env.DATABRICKS_CLIENT_SECRET),
      };
  const [idKey, secretKey] = inBlock
    ? [`${key}.clientId`, `${key}.clientSecret`]
    : ['DATABRICKS_CLIENT_ID', 'DATABRICKS_CLIENT_SECRET'];

  if (id === undefined || secret === undefined) {
    const missing = id === undefined ? 'clientId' : 'clientSecret';
    throw new InputError(
      `${key}.${missing} is missing. Set clientId and ` +
        'clientSecret there, or leave both out and set DATABRICKS_CLIENT_ID ' +
        'and DATABRICKS_CLIENT_SECRET, to an OAuth secret of a service principal',
    );
  }
  const host = readWorkspaceHost(workspace, env);
  return {
    host: host.value,
    hostKey: host.source,
    clientId: id,
    clientSecret: secret,
    identityKeys: `${idKey} and ${secretKey}`,
  };
}

function readLifetime(block: LakebaseBlock): number | undefined {
  const ms = readDuration(block, 'credential.lifetime');
  if (ms === undefined) return undefined;
  if (!(ms >= MIN_LIFETIME_MS && ms <= MAX_LIFETIME_MS) || ms % 1000 !== 0) {
    throw new InputError(
      `${LAKEBASE_KEY}.credential.lifetime must be whole seconds from 5 ` +
        'minutes to 1 hour',
    );
  }
  return ms;
}

function readPositiveDuration(
  block: LakebaseBlock,
  key: 'connectTimeout' | 'maxConnectionAge',
  fallbackMs: number,
): number {
  const ms = readDuration(block, key) ?? fallbackMs;
  if (!(ms >= 1000 && ms <= MAX_DURATION_MS)) {
    throw new InputError(
      `${LAKEBASE_KEY}.${key} must be from 1 second to 24 hours`,
    );
  }
  return ms;
}

function readDuration(block: LakebaseBlock, key: string): number | undefined {
  const config = new ConfigReader(block);
  if (!config.has(key)) return undefined;
  try {
    return durationToMilliseconds(readDurationFromConfig(config, { key }));
  } catch (error) {
    throw new InputError(
      `${LAKEBASE_KEY}.${key} is not a duration, such as '30s' or { minutes: 5 }`,
      error,
    );
  }
}

/** Blanks around a value, or in place of one, come from files and shells. */
const trimmed = (value: string | undefined) => value?.trim() || undefined;

function pick(
  ...candidates: [source: string, value: string | undefined][]
): Sourced<string> | undefined {
  for (const [source, candidate] of candidates) {
    const value = trimmed(candidate);
    if (value) return { value, source };
  }
  return undefined;
}
