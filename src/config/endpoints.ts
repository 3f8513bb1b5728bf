import { Config } from '@backstage/config';
import { InputError } from '@backstage/errors';
import { isBaseOnLakebase, namedPluginsOnLakebase } from './activation';
import { LakebaseConfig, readLakebaseConfig } from './config';
import { Workspace, type WorkspaceOptions } from '../databricks/workspace';
import type { Env } from './identitySources';
import { isLoopback } from './loopback';
import { readBaseConnection, readPluginDatabase } from './pluginDatabase';

/** One endpoint with the identity that logs in to it, and who is on it. */
export interface EndpointUse {
  config: LakebaseConfig;
  /** Whether it serves the plugins that are not mentioned by name. */
  base: boolean;
  /** Mentioned by name. */
  plugins: string[];
}

/**
 * Reads everything that the configuration says of Lakebase, so that a start
 * fails before anything is sent. Plugins with the same endpoint and identity
 * come together, for they share its credential.
 *
 * @throws InputError that names the key and the remedy.
 */
export function readEndpoints(rootConfig: Config, env: Env): EndpointUse[] {
  const found = new Map<string, EndpointUse>();
  const useOf = (pluginId?: string): EndpointUse => {
    const config = readLakebaseConfig(rootConfig, env, pluginId);
    const { host, method, clientId, identityKeys } = config.readWorkspace();
    const key = JSON.stringify([
      config.endpoint.value,
      host,
      // Without an id, only the place of its secret tells an identity.
      clientId ?? [method, identityKeys],
    ]);
    const use = found.get(key) ?? { config, base: false, plugins: [] };
    found.set(key, use);
    return use;
  };

  const hosts: (string | undefined)[] = [];
  if (isBaseOnLakebase(rootConfig)) {
    useOf().base = true;
    hosts.push(readBaseConnection(rootConfig).host);
  }
  for (const id of namedPluginsOnLakebase(rootConfig)) {
    const use = useOf(id);
    use.plugins.push(id);
    hosts.push(readPluginDatabase(rootConfig, use.config, id).connection.host);
  }
  const uses = [...found.values()];
  hosts.push(
    ...uses.map(({ config }) => new URL(config.workspaceHost.value).hostname),
  );
  checkVerification(hosts, env);
  return uses;
}

/** The workspace of an endpoint. */
export const workspaceOf = (
  { readWorkspace, endpoint, credentialLifetimeMs }: LakebaseConfig,
  options: Pick<WorkspaceOptions, 'external' | 'clock'>,
) =>
  new Workspace({
    settings: readWorkspace,
    ...options,
    endpoint: endpoint.value,
    endpointKey: endpoint.source,
    kind: endpoint.kind,
    credentialLifetimeMs,
  });

function checkVerification(hosts: (string | undefined)[], env: Env): void {
  const local = hosts.every(host => host !== undefined && isLoopback(host));
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0' && !local) {
    throw new InputError(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 turns off the verification of servers ' +
        'that credentials are sent to. Unset it, and trust a private CA with ' +
        'NODE_EXTRA_CA_CERTS instead',
    );
  }
}
