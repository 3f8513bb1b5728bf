import {
  DatabaseService,
  LoggerService,
  RootHealthService,
  RootInstanceMetadataService,
  RootLifecycleService,
} from '@backstage/backend-plugin-api';
import { Config } from '@backstage/config';
import { isOnLakebase } from './config/activation';
import { bypassingPluginsWarning } from './startupNotices/bypassingPlugins';
import {
  changesFromStock,
  divisionModeNote,
} from './startupNotices/changesFromStock';
import { type Clock, systemClock } from './time/clock';
import {
  LAKEBASE_KEY,
  readMaxConnections,
  readReadiness,
} from './config/config';
import { ConnectionBudget } from './connections/connectionBudget';
import type { LakebaseWorkspaceTokenService } from './databricks/identity';
import { connectionsWarning } from './startupNotices/connectionLimits';
import { readEndpoints } from './config/endpoints';
import { LakebaseEndpoint } from './lakebaseEndpoint';
import { observeBudget } from './metrics';
import { readSkipMigrations } from './config/pluginDatabase';
import { withCredentialCheck } from './readiness';
import { SEARCH, SearchEngineCheck } from './startupNotices/searchEngine';

export interface LakebaseOptions {
  rootConfig: Config;
  logger: LoggerService;
  lifecycle: RootLifecycleService;
  metadata: RootInstanceMetadataService;
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
   * @throws InputError that names the key and the remedy.
   */
  static create(options: LakebaseOptions): Lakebase {
    const { rootConfig, env, lifecycle, workspaceTokens } = options;
    const { clock = systemClock } = options;
    const logger = options.logger.child({ service: 'lakebase' });
    const lakebase = new Lakebase({ ...options, logger });
    const maxConnections = readMaxConnections(rootConfig);
    const budget = maxConnections
      ? new ConnectionBudget(maxConnections)
      : undefined;
    lakebase.#budget = budget;
    if (budget) lakebase.#unobserve = observeBudget(budget);
    for (const use of readEndpoints(rootConfig, env)) {
      const endpoint = new LakebaseEndpoint({
        ...{ rootConfig, use, logger, env, workspaceTokens, budget, clock },
      });
      lakebase.#endpoints.push(endpoint);
      if (use.base) lakebase.#base = endpoint;
      for (const id of use.plugins) lakebase.#named.set(id, endpoint);
    }
    lifecycle.addStartupHook(() => lakebase.#announce());
    lifecycle.addShutdownHook(() => lakebase.#stop());
    return lakebase;
  }

  readonly #rootConfig: Config;
  readonly #logger: LoggerService;
  readonly #metadata: RootInstanceMetadataService;
  readonly #searchEngine = new SearchEngineCheck();
  readonly #endpoints: LakebaseEndpoint[] = [];
  readonly #named = new Map<string, LakebaseEndpoint>();
  #base?: LakebaseEndpoint;
  #budget?: ConnectionBudget;
  #isProbed = false;
  #unobserve = () => {};

  private constructor({ rootConfig, logger, metadata }: LakebaseOptions) {
    this.#rootConfig = rootConfig;
    this.#logger = logger;
    this.#metadata = metadata;
  }

  /**
   * Resolves when plugins that bypass the database service are taken care of,
   * which must be before the first of them starts.
   *
   * @throws InputError that names the key and the remedy.
   */
  async prepareForBypassing(): Promise<void> {
    const serving = await this.#base?.listen();
    if (serving || !this.#base) return;
    const warning = bypassingPluginsWarning(Object.keys(require.cache));
    if (warning) this.#logger.warn(warning);
  }

  /** The database of a plugin, or undefined when it is not on Lakebase. */
  forPlugin(pluginId: string): DatabaseService | undefined {
    if (!isOnLakebase(this.#rootConfig, pluginId)) return undefined;
    const endpoint = this.#named.get(pluginId) ?? this.#base!;
    endpoint.start();
    for (const change of changesFromStock(this.#rootConfig, pluginId)) {
      this.#logger.warn(change);
    }
    return {
      getClient: async () => {
        const knex = await endpoint.getClient(pluginId);
        if (pluginId === SEARCH) this.#searchEngine.watch(knex);
        return knex;
      },
      migrations: { skip: readSkipMigrations(this.#rootConfig, pluginId) },
    };
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
    return this.#endpoints.filter(endpoint => endpoint.inUse);
  }

  async #announce(): Promise<void> {
    const inUse = this.#inUse();
    if (inUse.length === 0) {
      this.#logger.warn(
        `${LAKEBASE_KEY} is configured but not in use: another database ` +
          'service was added to the backend and took its place, or no plugin ' +
          'has a database',
      );
      return;
    }
    const note = divisionModeNote(this.#rootConfig);
    if (note) this.#logger.warn(note);
    if (readReadiness(this.#rootConfig) && !this.#isProbed) {
      this.#logger.warn(
        `${LAKEBASE_KEY}.readiness has no effect: another health service was ` +
          'added to the backend, or this module only in parts',
      );
    }
    for (const endpoint of inUse) {
      this.#logger.info(await endpoint.describe());
      await this.#checkConnections(endpoint);
    }
    await this.#checkSearch();
  }

  /** Whoever starts is better told than let fail, should this fail itself. */
  async #checkConnections(endpoint: LakebaseEndpoint): Promise<void> {
    const pools = await endpoint.clients();
    const warning = await connectionsWarning(pools, this.#budget?.limit).catch(
      () => undefined,
    );
    if (warning) this.#logger.warn(warning);
  }

  async #checkSearch(): Promise<void> {
    if (!isOnLakebase(this.#rootConfig, SEARCH)) return;
    const installed = await this.#metadata.getInstalledPlugins();
    const complaint = this.#searchEngine.complaint(installed);
    if (complaint) this.#logger.warn(complaint);
  }

  async #stop(): Promise<void> {
    this.#unobserve();
    await Promise.all(this.#endpoints.map(endpoint => endpoint.stop()));
  }
}
