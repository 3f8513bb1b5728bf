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
import type { WorkspaceSettings } from '../databricks/identity';
import { isId, parseEndpointName } from './endpointName';
import { readWorkspaceSettings } from './identityConfig';
import { Env, trimmed } from './identitySources';

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

/** A setting with the place where it was found, for messages. */
export interface Sourced<T> {
  value: T;
  source: string;
}

export type EndpointSetting = Sourced<string> & {
  kind: 'endpoint' | 'instance';
};

/** What `lakebase` of the base or of a plugin says, checked and completed. */
export interface LakebaseConfig {
  /** Its name, or that of a Provisioned instance. */
  endpoint: EndpointSetting;
  workspaceHost: Sourced<string>;
  /**
   * Reads secrets anew, since they are replaced on disk; host and login
   * stay what they were at start.
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
  const { key, block } = workspaceOf(blocks);
  const atStart = readWorkspaceSettings(key, block, env);
  const readWorkspace = () => {
    const workspace = workspaceOf(readBlocks(rootConfig, pluginId));
    const now = readWorkspaceSettings(workspace.key, workspace.block, env);
    if (loginOf(now) !== loginOf(atStart)) {
      throw new InputError(
        `The identity of ${atStart.identityKeys} has changed, but open pools ` +
          'log in as the former one. Restart to follow',
      );
    }
    return { ...now, host: atStart.host, hostKey: atStart.hostKey };
  };

  return {
    endpoint: readEndpoint(blocks, env),
    workspaceHost: { value: atStart.host, source: atStart.hostKey },
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

/** Whether the backend is to say that it isn't ready without a credential. */
export const readReadiness = (rootConfig: Config): boolean =>
  rootConfig.getOptionalBoolean(`${LAKEBASE_KEY}.readiness`) ?? false;

/** Whose login name it is, as far as settings can tell. */
const loginOf = ({ clientId, method }: WorkspaceSettings) => clientId ?? method;

/**
 * How many connections the whole process may have open; undefined for any
 * number.
 *
 * @throws InputError
 */
export const readMaxConnections = (rootConfig: Config) =>
  readBlock(rootConfig, LAKEBASE_KEY, lakebaseSchema)?.maxConnections;

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

function readEndpoint(blocks: Blocks, env: Env): EndpointSetting {
  const { shared, own, key } = blocks;
  const ofPlugin = pick([`${key}.endpoint`, own?.endpoint]);
  const ofBlock = pick([`${LAKEBASE_KEY}.endpoint`, shared.endpoint]);
  const instance = pick([`${LAKEBASE_KEY}.instance`, shared.instance]);
  if (ofBlock && instance) {
    throw new InputError(
      `${ofBlock.source} and ${instance.source} name two databases. Remove ` +
        'one of them',
    );
  }
  if (instance && !ofPlugin) {
    if (shared.credential?.lifetime !== undefined) {
      throw new InputError(
        `${LAKEBASE_KEY}.credential.lifetime has no effect on the credentials ` +
          `of an instance (${instance.source}). Remove it`,
      );
    }
    return { ...instance, kind: 'instance' };
  }
  const endpoint = ofPlugin ?? ofBlock ?? endpointFrom(env);
  if (!endpoint) {
    throw new InputError(
      `${key}.endpoint is missing. Set it, or LAKEBASE_ENDPOINT, to the name ` +
        'of the endpoint: projects/P, projects/P/branches/B or ' +
        'projects/P/branches/B/endpoints/E',
    );
  }
  parseEndpointName(endpoint.value, endpoint.source);
  return { ...endpoint, kind: 'endpoint' };
}

/** Some tools put a bare id there, and the rest into other variables. */
function endpointFrom(env: Env): Sourced<string> | undefined {
  const endpoint = pick(['LAKEBASE_ENDPOINT', env.LAKEBASE_ENDPOINT]);
  if (!endpoint || !isId(endpoint.value)) return endpoint;
  const project = trimmed(env.LAKEBASE_PROJECT_ID);
  const branch = trimmed(env.LAKEBASE_BRANCH_ID);
  if (!project || !branch) {
    throw new InputError(
      `LAKEBASE_ENDPOINT is the bare id '${endpoint.value}'. Set it to ` +
        'projects/P/branches/B/endpoints/E, or set LAKEBASE_PROJECT_ID and ' +
        'LAKEBASE_BRANCH_ID, too',
    );
  }
  return {
    value: `projects/${project}/branches/${branch}/endpoints/${endpoint.value}`,
    source: 'LAKEBASE_ENDPOINT with LAKEBASE_PROJECT_ID and LAKEBASE_BRANCH_ID',
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

function pick(
  ...candidates: [source: string, value: string | undefined][]
): Sourced<string> | undefined {
  for (const [source, candidate] of candidates) {
    const value = trimmed(candidate);
    if (value) return { value, source };
  }
  return undefined;
}
