import type { Config } from '@backstage/config';
import { ConfigurationError } from '../errors';
import { isId, parseEndpointName } from '../databricks/endpointName';
import type { WorkspaceSettings } from '../databricks/identity';
import { type Blocks, readWorkspaceBlock } from './blocks';
import { readWorkspaceSettings } from './identityConfig';
import { type Env, trimSetting } from './identitySources';
import { LAKEBASE_KEY, pluginKey, type Sourced } from './keys';

/** The database that every Lakebase branch is born with. */
export const DEFAULT_DATABASE = 'databricks_postgres';

/** A wake-up takes seconds, the start of a new compute up to a minute. */
const DEFAULT_CONNECT_TIMEOUT_MS = 60_000;

/** Lakebase may close a connection that is 24 h idle or 3 days old. */
const DEFAULT_MAX_CONNECTION_AGE_MS = 45 * 60_000;

export type EndpointSetting = Sourced<string> & {
  kind: 'endpoint' | 'instance';
};

/** An endpoint, and as whom to mint credentials for it. */
export interface MintingSettings {
  /** Its name, or that of a Provisioned instance. */
  endpoint: EndpointSetting;
  workspaceHost: Sourced<string>;
  /**
   * Reads secrets again, since they are replaced on disk; host and login stay
   * as they were at start.
   *
   * @throws ConfigurationError
   */
  readWorkspace: () => WorkspaceSettings;
  /** The login name of a service principal; others have to be looked up. */
  clientId?: string;
  credentialLifetimeMs?: number;
  adminDatabase: string;
  connectTimeoutMs: number;
  maxConnectionAgeMs: number;
}

/**
 * What `lakebase` says for a plugin, or for all that say nothing for
 * themselves, with `DATABRICKS_*` and `LAKEBASE_ENDPOINT` for what is left out.
 *
 * @throws ConfigurationError that names the key and the remedy.
 */
export function readMintingSettings(
  rootConfig: Config,
  blocks: Blocks,
  env: Env,
  pluginId?: string,
): MintingSettings {
  const { lakebase } = blocks;
  const key = findWorkspaceKey(blocks, pluginId);
  const read = () =>
    readWorkspaceSettings(key, readWorkspaceBlock(rootConfig, key), env);
  const atStart = read();
  return {
    endpoint: readEndpoint(blocks, env, pluginId),
    workspaceHost: { value: atStart.host, source: atStart.hostKey },
    readWorkspace() {
      const now = read();
      if (nameLogin(now) !== nameLogin(atStart)) {
        throw new ConfigurationError(
          `The identity of ${atStart.identityKeys} has changed, but open pools ` +
            'log in as the former one',
          'Restart to follow',
        );
      }
      const { host, hostKey, workspaceId } = atStart;
      return { ...now, host, hostKey, workspaceId };
    },
    clientId: atStart.clientId,
    credentialLifetimeMs: lakebase.credential?.lifetime,
    adminDatabase: trimSetting(lakebase.adminDatabase) ?? DEFAULT_DATABASE,
    connectTimeoutMs: lakebase.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT_MS,
    maxConnectionAgeMs:
      lakebase.maxConnectionAge ?? DEFAULT_MAX_CONNECTION_AGE_MS,
  };
}

/** A plugin's own workspace replaces the shared one as a whole. */
function findWorkspaceKey({ plugins }: Blocks, pluginId?: string): string {
  const own = pluginId !== undefined && plugins.get(pluginId)?.lakebase;
  return own && own.workspace
    ? `${pluginKey(pluginId)}.lakebase.workspace`
    : `${LAKEBASE_KEY}.workspace`;
}

/** Identifies the login, as far as settings can. */
const nameLogin = ({ clientId, method }: WorkspaceSettings) =>
  clientId ?? method;

function readEndpoint(
  { lakebase, plugins }: Blocks,
  env: Env,
  pluginId?: string,
): EndpointSetting {
  const own = pluginId === undefined ? undefined : plugins.get(pluginId);
  const key = own?.lakebase ? `${pluginKey(pluginId!)}.lakebase` : LAKEBASE_KEY;
  const ofPlugin = findSet(`${key}.endpoint`, own?.lakebase?.endpoint);
  const ofBlock = findSet(`${LAKEBASE_KEY}.endpoint`, lakebase.endpoint);
  const instance = findSet(`${LAKEBASE_KEY}.instance`, lakebase.instance);
  if (ofBlock && instance) {
    throw new ConfigurationError(
      `${ofBlock.source} and ${instance.source} name two databases`,
      'Remove one of them',
    );
  }
  if (instance && !ofPlugin) {
    if (lakebase.credential?.lifetime !== undefined) {
      throw new ConfigurationError(
        `${LAKEBASE_KEY}.credential.lifetime has no effect on the credentials ` +
          `of an instance (${instance.source})`,
        'Remove it',
      );
    }
    return { ...instance, kind: 'instance' };
  }
  const endpoint = ofPlugin ?? ofBlock ?? findInEnvironment(env);
  if (!endpoint) {
    throw new ConfigurationError(
      `${key}.endpoint is missing` +
        (env.PGHOST
          ? ': PGHOST and its like say where one listens, but not its name'
          : ''),
      'Set it, or LAKEBASE_ENDPOINT, to the name of the endpoint: projects/P, ' +
        'projects/P/branches/B or projects/P/branches/B/endpoints/E',
    );
  }
  parseEndpointName(endpoint.value, endpoint.source);
  return { ...endpoint, kind: 'endpoint' };
}

/** Some tools put a bare id there, and the rest into other variables. */
function findInEnvironment(env: Env): Sourced<string> | undefined {
  const endpoint = findSet('LAKEBASE_ENDPOINT', env.LAKEBASE_ENDPOINT);
  if (!endpoint || !isId(endpoint.value)) return endpoint;
  const project = trimSetting(env.LAKEBASE_PROJECT_ID);
  const branch = trimSetting(env.LAKEBASE_BRANCH_ID);
  if (!project || !branch) {
    throw new ConfigurationError(
      `LAKEBASE_ENDPOINT is the bare id '${endpoint.value}'`,
      'Set it to projects/P/branches/B/endpoints/E, or set ' +
        'LAKEBASE_PROJECT_ID and LAKEBASE_BRANCH_ID, too',
    );
  }
  return {
    value: `projects/${project}/branches/${branch}/endpoints/${endpoint.value}`,
    source: 'LAKEBASE_ENDPOINT with LAKEBASE_PROJECT_ID and LAKEBASE_BRANCH_ID',
  };
}

function findSet(
  source: string,
  setting: string | undefined,
): Sourced<string> | undefined {
  const value = trimSetting(setting);
  return value === undefined ? undefined : { value, source };
}
