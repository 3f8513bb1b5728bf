import { LoggerService } from '@backstage/backend-plugin-api';
import { Config } from '@backstage/config';
import { stringifyError } from '@backstage/errors';
import type { Knex } from 'knex';
import { DATABASE_KEY, LakebaseConfig } from './config';
import { baseKeyOf, connectionAt } from './connectionConfig';
import { Workspace } from './databricks/workspace';
import type { EndpointUse } from './endpoints';
import { isPermanent } from './errors';
import { LakebaseConnector } from './lakebaseConnector';
import { LocalProxy } from './localProxy/localProxy';
import { readLocalProxyAddress } from './localProxy/readAddress';
import {
  isSchemaMode,
  readBaseConnection,
  readPluginDatabase,
} from './pluginDatabase';
import { RefreshListener, TokenRefresher } from './tokenRefresher';

export interface LakebaseEndpointOptions {
  rootConfig: Config;
  use: EndpointUse;
  logger: LoggerService;
  env: Record<string, string | undefined>;
}

/** One endpoint and identity: its credential, and the pools of its plugins. */
export class LakebaseEndpoint {
  readonly #rootConfig: Config;
  readonly #use: EndpointUse;
  readonly #workspace: Workspace;
  readonly #tokens: TokenRefresher;
  readonly #connector: LakebaseConnector;
  readonly #localProxy?: LocalProxy;
  #inUse = false;

  constructor({ rootConfig, use, logger, env }: LakebaseEndpointOptions) {
    const { config } = use;
    this.#rootConfig = rootConfig;
    this.#use = use;
    this.#workspace = new Workspace({
      settings: config.readWorkspace,
      endpoint: config.endpoint.value,
      endpointKey: config.endpoint.source,
      credentialLifetimeMs: config.credentialLifetimeMs,
    });
    this.#tokens = new TokenRefresher({
      mint: signal => this.#workspace.mintCredential(signal),
      ...refreshLog(logger, config),
    });
    this.#connector = new LakebaseConnector({
      rootConfig,
      config,
      tokens: this.#tokens,
      findHost: signal => this.#workspace.findHost(signal),
      defaultUser: () => config.readWorkspace().clientId,
      logger,
    });
    if (use.base && config.localProxy) {
      this.#localProxy = new LocalProxy({
        address: readLocalProxyAddress(rootConfig, env),
        connection: {
          ...readBaseConnection(rootConfig),
          database: config.adminDatabase,
        },
        role: rootConfig.getOptionalString(`${DATABASE_KEY}.role`),
        connectTimeoutMs: config.connectTimeoutMs,
        tokens: this.#tokens,
        findHost: () => this.#connector.findHost(),
        defaultUser: () => config.readWorkspace().clientId,
        logger,
      });
    }
  }

  /**
   * Lets plugins connect past the database service, if the configuration does.
   *
   * @returns whether they may.
   * @throws InputError that names the key and the remedy.
   */
  async listen(): Promise<boolean> {
    await this.#localProxy?.listen();
    return this.#localProxy !== undefined;
  }

  /** Whether a plugin has asked for its database service. */
  get inUse(): boolean {
    return this.#inUse;
  }

  /** Mints the first credential, before the first plugin asks for it. */
  start(): void {
    this.#inUse = true;
    this.#tokens.start();
  }

  getClient(pluginId: string): Promise<Knex> {
    return this.#connector.getClient(pluginId);
  }

  async stop(): Promise<void> {
    this.#tokens.stop();
    this.#workspace.stop();
    await Promise.all([this.#connector.close(), this.#localProxy?.close()]);
  }

  /** Who is on this endpoint, and where each of its settings comes from. */
  async describe(): Promise<string> {
    const { config, base, plugins } = this.#use;
    const [member] = base ? [] : plugins;
    const connection =
      member === undefined
        ? readBaseConnection(this.#rootConfig)
        : readPluginDatabase(this.#rootConfig, config, member).connection;
    const host = connection.host ?? (await this.#connector.findHost());
    const { clientId, identityKeys } = config.readWorkspace();
    const mode = isSchemaMode(this.#rootConfig.getConfig(DATABASE_KEY))
      ? 'schema'
      : 'database';
    const place = (key: 'host' | 'user', otherwise: string) =>
      connection[key] === undefined ? otherwise : this.#sourceOf(key, member);
    return (
      `Lakebase is the database of ${base ? 'the plugins' : plugins.join(', ')}, ` +
      `one ${mode} each: ` +
      `endpoint ${config.endpoint.value} (${config.endpoint.source}), ` +
      `host ${host}:${connection.port} (${place('host', 'looked up')}), ` +
      `user ${connection.user ?? clientId} (${place('user', 'the client id')}), ` +
      `workspace ${config.workspaceHost.value} (${config.workspaceHost.source}), ` +
      `OAuth client of ${identityKeys}`
    );
  }

  #sourceOf(key: 'host' | 'user', pluginId: string | undefined): string {
    const own = `${DATABASE_KEY}.plugin.${pluginId}.connection`;
    const isOwn = connectionAt(this.#rootConfig, own)[key] !== undefined;
    return `${isOwn ? own : baseKeyOf(this.#rootConfig, key)}.${key}`;
  }
}

const inWords = (ms: number) =>
  ms < 120_000
    ? `${Math.round(ms / 1000)} s`
    : `${Math.round(ms / 60_000)} min`;

/** Each state change once: a repeated failure is not news. */
function refreshLog(
  logger: LoggerService,
  { endpoint }: LakebaseConfig,
): RefreshListener {
  const credentials = `Lakebase credentials for ${endpoint.value}`;
  return {
    onRefreshed: ({ lifeMs, refreshInMs }) =>
      logger.debug(
        `Minted a Lakebase credential for ${endpoint.value} that lives ` +
          `${inWords(lifeMs)}, next refresh in ${inWords(refreshInMs)}`,
      ),
    onFailing: ({ error, usableForMs }) => {
      const level = usableForMs > 0 ? 'warn' : 'error';
      logger[level](
        `Minting ${credentials} fails, ` +
          (isPermanent(error)
            ? 'and somebody has to act; it is tried again every few minutes. '
            : 'and is tried again. ') +
          (usableForMs > 0
            ? `The current one serves new connections for ${inWords(usableForMs)} more. `
            : 'Open connections go on, new ones can not be opened. ') +
          stringifyError(error),
      );
    },
    onRecovered: () => logger.info(`Minting ${credentials} works again`),
  };
}
