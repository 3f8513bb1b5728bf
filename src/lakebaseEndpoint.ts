import { LoggerService } from '@backstage/backend-plugin-api';
import { Config } from '@backstage/config';
import { InputError, stringifyError } from '@backstage/errors';
import type { Knex } from 'knex';
import type { Clock } from './time/clock';
import { DATABASE_KEY, LakebaseConfig } from './config/config';
import { baseKeyOf, connectionAt } from './config/connectionConfig';
import type { ConnectionBudget } from './connections/connectionBudget';
import type { LakebaseWorkspaceTokenService } from './databricks/identity';
import type { Workspace } from './databricks/workspace';
import { type EndpointUse, workspaceOf } from './config/endpoints';
import { isPermanent } from './errors';
import { LakebaseConnector } from './lakebaseConnector';
import { EndpointMetrics } from './metrics';
import { LocalProxy } from './localProxy/localProxy';
import { readLocalProxyAddress } from './localProxy/readAddress';
import { LOCAL_PROXY } from './localProxy/upstream';
import {
  isSchemaMode,
  readBaseConnection,
  readPluginDatabase,
} from './config/pluginDatabase';
import { RefreshListener, TokenRefresher } from './tokenRefresher';

export interface LakebaseEndpointOptions {
  rootConfig: Config;
  use: EndpointUse;
  logger: LoggerService;
  env: Record<string, string | undefined>;
  /** Bounds the connections of the whole process. */
  budget?: ConnectionBudget;
  /** Where tokens come from with `authType: external`. */
  workspaceTokens?: LakebaseWorkspaceTokenService;
  clock: Clock;
}

/** One endpoint and identity: its credential, and the pools of its plugins. */
export class LakebaseEndpoint {
  readonly #rootConfig: Config;
  readonly #use: EndpointUse;
  readonly #workspace: Workspace;
  readonly #tokens: TokenRefresher;
  readonly #metrics: EndpointMetrics;
  readonly #connector: LakebaseConnector;
  readonly #localProxy?: LocalProxy;
  #inUse = false;

  constructor(options: LakebaseEndpointOptions) {
    const { rootConfig, use, logger, env, budget, clock } = options;
    const { workspaceTokens: external } = options;
    const { config } = use;
    checkIsProvided(config, external);
    this.#rootConfig = rootConfig;
    this.#use = use;
    this.#workspace = workspaceOf(config, { external, clock });
    this.#metrics = new EndpointMetrics({
      endpoint: config.endpoint.value,
      leftMs: () => this.#tokens.leftMs,
    });
    this.#tokens = new TokenRefresher({
      mint: signal => this.#workspace.mintCredential(signal),
      onAttempt: attempt => this.#metrics.mint(attempt),
      clock,
      ...refreshLog(logger, config),
    });
    this.#connector = new LakebaseConnector({
      rootConfig,
      config,
      tokens: this.#tokens,
      findHost: signal => this.#workspace.findHost(signal),
      findUser: signal => this.#workspace.findUser(signal),
      logger,
      budget,
      connectsOf: owner => this.#metrics.connectsOf(owner),
      clock,
    });
    if (use.base && config.localProxy) {
      this.#localProxy = new LocalProxy({
        socket: readLocalProxyAddress(rootConfig, env),
        connection: {
          ...readBaseConnection(rootConfig),
          database: config.adminDatabase,
        },
        role: rootConfig.getOptionalString(`${DATABASE_KEY}.role`),
        connectTimeoutMs: config.connectTimeoutMs,
        tokens: this.#tokens,
        address: this.#connector.address,
        defaultUser: () => this.#connector.user(),
        logger,
        budget,
        clock,
        listener: this.#metrics.connectsOf(LOCAL_PROXY),
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

  /** False when no credential is valid and none can be minted. */
  get canLogIn(): boolean {
    return !this.#tokens.stranded;
  }

  async getClient(pluginId: string): Promise<Knex> {
    const knex = await this.#connector.getClient(pluginId);
    this.#metrics.watchPool(pluginId, knex);
    return knex;
  }

  /** The pools of all plugins on this endpoint that have one. */
  clients(): Promise<Knex[]> {
    return this.#connector.clients();
  }

  async stop(): Promise<void> {
    this.#metrics.stop();
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
    const host = connection.host ?? (await this.#connector.address.host());
    const user = connection.user ?? (await this.#connector.user());
    const { clientId, method, identityKeys } = config.readWorkspace();
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
      `user ${user} (${place('user', clientId ? 'the client id' : 'looked up')}), ` +
      `workspace ${config.workspaceHost.value} (${config.workspaceHost.source}), ` +
      `identity ${method} (${identityKeys})`
    );
  }

  #sourceOf(key: 'host' | 'user', pluginId: string | undefined): string {
    const own = `${DATABASE_KEY}.plugin.${pluginId}.connection`;
    const isOwn = connectionAt(this.#rootConfig, own)[key] !== undefined;
    return `${isOwn ? own : baseKeyOf(this.#rootConfig, key)}.${key}`;
  }
}

function checkIsProvided(
  config: LakebaseConfig,
  workspaceTokens: LakebaseWorkspaceTokenService | undefined,
): void {
  const { method, identityKeys } = config.readWorkspace();
  if (method !== 'external' || workspaceTokens) return;
  throw new InputError(
    `${identityKeys} is 'external', but no service gets the tokens. Add a ` +
      'service factory for lakebaseWorkspaceTokenServiceRef to the backend, or ' +
      'choose another identity',
  );
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
      const level = usableForMs > 0 && !isPermanent(error) ? 'warn' : 'error';
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
    onExpired: ({ error }) =>
      logger.error(
        `The last of the ${credentials} is no longer valid, and minting fails. ` +
          'Open connections go on, new ones can not be opened. ' +
          stringifyError(error),
      ),
    onRecovered: () => logger.info(`Minting ${credentials} works again`),
  };
}
