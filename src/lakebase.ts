import {
  DatabaseService,
  LoggerService,
  RootHealthService,
  RootInstanceMetadataService,
  RootLifecycleService,
} from '@backstage/backend-plugin-api';
import { Config } from '@backstage/config';
import type { Knex } from 'knex';
import { LAKEBASE_KEY } from './config/keys';
import {
  type EndpointSettings,
  type PluginSettings,
  readConfig,
  type Settings,
} from './config/readConfig';
import { ConnectionBudget } from './connections/connectionBudget';
import type { LakebaseWorkspaceTokenService } from './databricks/identity';
import { LakebaseEndpoint } from './lakebaseEndpoint';
import { observeBudget } from './metrics';
import { withCredentialCheck } from './readiness';
import { warnOfBypassingPlugins } from './startupNotices/bypassingPlugins';
import { warnOfConnections } from './startupNotices/connectionLimits';
import { FailedStart } from './startupNotices/failedStart';
import { SEARCH, SearchEngineCheck } from './startupNotices/searchEngine';
import { type Clock, systemClock } from './time/clock';

/** What is asked of a service that grows from release to release. */
type InstalledPlugins = Pick<
  RootInstanceMetadataService,
  'getInstalledPlugins'
>;

export interface LakebaseOptions {
  rootConfig: Config;
  logger: LoggerService;
  lifecycle: RootLifecycleService;
  metadata: InstalledPlugins;
  env: Record<string, string | undefined>;
  /** Where tokens come from with `authType: external`. */
  workspaceTokens?: LakebaseWorkspaceTokenService;
  /** The system's without it. */
  clock?: Clock;
}

/** What the plugins share: the endpoints with their credentials and pools. */
export class Lakebase {
  /**
   * Reads the configuration and joins the lifecycle of the backend.
   *
   * @throws ConfigurationError that names the key and the remedy.
   */
  static create(options: LakebaseOptions): Lakebase {
    const { rootConfig, env, lifecycle, clock = systemClock } = options;
    const lakebase = new Lakebase(readConfig(rootConfig, env), {
      ...options,
      clock,
      logger: options.logger.child({ service: 'lakebase' }),
    });
    lifecycle.addStartupHook(() => lakebase.#announce());
    lifecycle.addShutdownHook(() => lakebase.#stop());
    return lakebase;
  }

  readonly #settings: Settings;
  readonly #logger: LoggerService;
  readonly #metadata: InstalledPlugins;
  readonly #searchEngine = new SearchEngineCheck();
  readonly #failedStart: FailedStart;
  readonly #endpoints = new Map<EndpointSettings, LakebaseEndpoint>();
  readonly #budget?: ConnectionBudget;
  readonly #unobserve: () => void;
  #isProbed = false;

  private constructor(
    settings: Settings,
    {
      logger,
      metadata,
      workspaceTokens,
      clock,
    }: LakebaseOptions & { clock: Clock },
  ) {
    this.#settings = settings;
    this.#logger = logger;
    this.#metadata = metadata;
    this.#failedStart = new FailedStart(logger, clock);
    const { maxConnections, schemaMode } = settings;
    const budget = maxConnections
      ? new ConnectionBudget(maxConnections)
      : undefined;
    this.#budget = budget;
    this.#unobserve = budget ? observeBudget(budget) : () => {};
    for (const endpoint of settings.endpoints) {
      this.#endpoints.set(
        endpoint,
        new LakebaseEndpoint({
          settings: endpoint,
          schemaMode,
          logger,
          budget,
          workspaceTokens,
          clock,
        }),
      );
    }
  }

  /**
   * Resolves when plugins that bypass the database service are taken care of,
   * which must be before the first of them starts.
   *
   * @throws ConfigurationError that names the key and the remedy.
   */
  async prepareForBypassing(): Promise<void> {
    const base = this.#settings.endpoints.find(endpoint => endpoint.base);
    if (!base || (await this.#endpoints.get(base)!.listen())) return;
    const warning = warnOfBypassingPlugins(Object.keys(require.cache));
    if (warning) this.#logger.warn(warning);
  }

  /** The database of a plugin, or undefined when it is not on Lakebase. */
  forPlugin(pluginId: string): DatabaseService | undefined {
    const plugin = this.#settings.forPlugin(pluginId);
    if (!plugin) return undefined;
    const endpoint = this.#endpoints.get(plugin.endpoint)!;
    endpoint.start();
    for (const change of plugin.changes) this.#logger.warn(change);
    return {
      getClient: async () => {
        const knex = await this.#getClient(endpoint, plugin);
        if (pluginId === SEARCH) this.#searchEngine.watch(knex);
        return knex;
      },
      migrations: { skip: plugin.database.skipMigrations },
    };
  }

  async #getClient(
    endpoint: LakebaseEndpoint,
    plugin: PluginSettings,
  ): Promise<Knex> {
    try {
      return await endpoint.getClient(plugin);
    } catch (error) {
      this.#failedStart.expect();
      throw error;
    }
  }

  /** A health service that also knows whether there is a credential. */
  probedBy(stock: RootHealthService): RootHealthService {
    this.#isProbed = true;
    return withCredentialCheck(stock, () => this.#canLogIn());
  }

  /** An endpoint that nobody uses says nothing about the backend. */
  #canLogIn(): boolean {
    const inUse = this.#inUse();
    return inUse.length === 0 || inUse.some(({ canLogIn }) => canLogIn);
  }

  #inUse(): LakebaseEndpoint[] {
    return [...this.#endpoints.values()].filter(({ inUse }) => inUse);
  }

  async #announce(): Promise<void> {
    this.#failedStart.over();
    const inUse = this.#inUse();
    if (inUse.length === 0) {
      this.#logger.warn(
        `${LAKEBASE_KEY} is configured but not in use: another database ` +
          'service was added to the backend and took its place, or no plugin ' +
          'has a database',
      );
      return;
    }
    for (const note of this.#settings.notes) this.#logger.warn(note);
    if (this.#settings.readiness && !this.#isProbed) {
      this.#logger.warn(
        `${LAKEBASE_KEY}.readiness has no effect: another health service was ` +
          'added to the backend, or this module only in parts',
      );
    }
    for (const endpoint of inUse) {
      this.#logger.info(await endpoint.describe());
      for (const line of endpoint.migrated()) this.#logger.info(line);
      await this.#checkConnections(endpoint);
    }
    await this.#checkSearch();
  }

  /** Only a warning depends on this, so its own failure must not stop a start. */
  async #checkConnections(endpoint: LakebaseEndpoint): Promise<void> {
    const pools = await endpoint.clients();
    const warning = await warnOfConnections(pools, this.#budget?.limit).catch(
      () => undefined,
    );
    if (warning) this.#logger.warn(warning);
  }

  async #checkSearch(): Promise<void> {
    if (!this.#settings.forPlugin(SEARCH)) return;
    const installed = await this.#metadata.getInstalledPlugins();
    const complaint = this.#searchEngine.complaint(installed);
    if (complaint) this.#logger.warn(complaint);
  }

  async #stop(): Promise<void> {
    this.#failedStart.over();
    this.#unobserve();
    await Promise.all(
      [...this.#endpoints.values()].map(endpoint => endpoint.stop()),
    );
  }
}
