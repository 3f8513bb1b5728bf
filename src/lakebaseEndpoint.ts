import { LoggerService } from '@backstage/backend-plugin-api';
import type { Knex } from 'knex';
import type { EndpointSettings, PluginSettings } from './config/readConfig';
import type { ConnectionBudget } from './connections/connectionBudget';
import { ConnectionLog } from './connections/connectionLog';
import { DirectTls } from './connections/directTls';
import { SessionOptions } from './connections/session';
import { Targets } from './connections/targets';
import { CredentialLog } from './credentialLog';
import { explainRefreshFault } from './databricks/credentialFaults';
import type { LakebaseWorkspaceTokenService } from './databricks/identity';
import { Workspace } from './databricks/workspace';
import { ConfigurationError } from './errors';
import { LakebaseConnector } from './lakebaseConnector';
import { LocalProxy } from './localProxy/localProxy';
import { LOCAL_PROXY } from './localProxy/upstream';
import { EndpointMetrics } from './metrics';
import { Attempts } from './time/attempts';
import type { Clock } from './time/clock';
import { TokenRefresher } from './tokenRefresher';

export interface LakebaseEndpointOptions {
  settings: EndpointSettings;
  schemaMode: boolean;
  logger: LoggerService;
  /** Bounds the connections of the whole process. */
  budget?: ConnectionBudget;
  /** Where tokens come from with `authType: external`. */
  workspaceTokens?: LakebaseWorkspaceTokenService;
  clock: Clock;
}

/** One endpoint and identity: its credential, and the pools of its plugins. */
export class LakebaseEndpoint {
  readonly #options: LakebaseEndpointOptions;
  readonly #workspace: Workspace;
  readonly #tokens: TokenRefresher;
  readonly #targets: Targets;
  readonly #metrics: EndpointMetrics;
  readonly #connector: LakebaseConnector;
  readonly #localProxy?: LocalProxy;
  #inUse = false;

  /** @throws ConfigurationError */
  constructor(options: LakebaseEndpointOptions) {
    const { settings, logger, budget, clock, workspaceTokens } = options;
    const { connectTimeoutMs } = settings;
    checkIsProvided(settings, workspaceTokens);
    this.#options = options;
    const attempts = new Attempts(clock);
    const workspace = new Workspace({
      settings,
      external: workspaceTokens,
      clock,
    });
    this.#workspace = workspace;
    this.#metrics = new EndpointMetrics({
      endpoint: settings.endpoint.value,
      leftMs: () => this.#tokens.leftMs,
    });
    const tokens = new TokenRefresher({
      mint: signal => workspace.mintCredential(signal),
      explain: explainRefreshFault,
      listeners: [
        this.#metrics.mints,
        new CredentialLog(logger, settings.endpoint.value),
      ],
      clock,
    });
    this.#tokens = tokens;
    const targets = new Targets({
      findHost: signal => workspace.findHost(signal),
      clientId: settings.clientId,
      findUser: signal => workspace.findUser(signal),
      // A refused identity or endpoint is then reported once, by the mint.
      prepare: signal => tokens.token(signal),
      connectTimeoutMs,
      attempts,
      clock,
    });
    this.#targets = targets;
    const log = new ConnectionLog(logger, connectTimeoutMs);
    const listen = (owner: string) => [this.#metrics.listen(owner), log];
    const directTls = new DirectTls(clock);
    const shared = {
      tokens,
      targets,
      attempts,
      logger,
      budget,
      directTls,
      clock,
    };
    this.#connector = new LakebaseConnector({
      ...shared,
      sessionOptions: new SessionOptions(clock),
      settings,
      listen,
    });
    this.#localProxy =
      settings.localProxy &&
      new LocalProxy({
        ...shared,
        ...settings.localProxy,
        connectTimeoutMs,
        listeners: listen(LOCAL_PROXY),
      });
  }

  /**
   * Lets plugins connect past the database service, if the configuration does.
   *
   * @returns whether they may.
   * @throws ConfigurationError that names the key and the remedy.
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

  async getClient(plugin: PluginSettings): Promise<Knex> {
    const knex = await this.#connector.getClient(plugin);
    this.#metrics.watchPool(plugin.id, knex);
    return knex;
  }

  /** The pools of all plugins on this endpoint that have one. */
  clients(): Promise<Knex[]> {
    return this.#connector.clients();
  }

  /** A line for each plugin that has migrated since the last call. */
  migrated(): string[] {
    return this.#connector.migrated();
  }

  async stop(): Promise<void> {
    this.#metrics.stop();
    this.#tokens.stop();
    this.#workspace.stop();
    await Promise.all([this.#connector.close(), this.#localProxy?.close()]);
  }

  /** Who is on this endpoint, and where each of its settings comes from. */
  async describe(): Promise<string> {
    const { settings, schemaMode } = this.#options;
    const { endpoint, workspaceHost, base, plugins, sources } = settings;
    const { host, port, user } = await this.#targets.complete(
      // Any database will do: it is not named.
      { database: settings.adminDatabase, ...settings.connection },
    );
    const { method, identityKeys } = settings.readWorkspace();
    const id = this.#workspace.id ? `, id ${this.#workspace.id}` : '';
    const otherwise = settings.clientId ? 'the client id' : 'looked up';
    return (
      `Lakebase is the database of ${base ? 'the plugins' : plugins.join(', ')}, ` +
      `one ${schemaMode ? 'schema' : 'database'} each: ` +
      `endpoint ${endpoint.value} (${endpoint.source}), ` +
      `host ${host}:${port} (${sources.host ?? 'looked up'}), ` +
      `user ${user} (${sources.user ?? otherwise}), ` +
      `workspace ${workspaceHost.value}${id} (${workspaceHost.source}), ` +
      `identity ${method} (${identityKeys})`
    );
  }
}

function checkIsProvided(
  settings: EndpointSettings,
  workspaceTokens: LakebaseWorkspaceTokenService | undefined,
): void {
  const { method, identityKeys } = settings.readWorkspace();
  if (method !== 'external' || workspaceTokens) return;
  throw new ConfigurationError(
    `${identityKeys} is 'external', but no service gets the tokens`,
    'Add a service factory for lakebaseWorkspaceTokenServiceRef to the ' +
      'backend, or choose another identity',
  );
}
