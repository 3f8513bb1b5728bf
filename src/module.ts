import {
  coreServices,
  createBackendFeatureLoader,
  createServiceFactory,
  createServiceRef,
  DatabaseService,
  ServiceRef,
} from '@backstage/backend-plugin-api';
import { DatabaseManager } from '@backstage/backend-defaults/database';
import { memoize } from 'lodash';
import { explainUnused, isConfigured, wantsReadiness } from './config/blocks';
import { isolateStockPlugin } from './config/stockConfig';
import type { LakebaseWorkspaceTokenService } from './databricks/identity';
import { Lakebase } from './lakebase';
import { stockRootHealthServiceRef } from './readiness';
import { FailedStart } from './startupNotices/failedStart';
import { systemClock } from './time/clock';

/** The default, since most backends need no provider. */
const NO_PROVIDER: LakebaseWorkspaceTokenService = {
  getToken: () => Promise.reject(new Error('Nobody provides tokens')),
};

/**
 * Gets the tokens for the workspace's API with `authType: external`. Add a
 * service factory for it to the backend.
 *
 * @public
 */
export const lakebaseWorkspaceTokenServiceRef =
  createServiceRef<LakebaseWorkspaceTokenService>({
    id: 'lakebase.workspaceToken',
    scope: 'root',
    defaultFactory: service =>
      Promise.resolve(
        createServiceFactory({ service, deps: {}, factory: () => NO_PROVIDER }),
      ),
  });

const createLakebaseFactory = (service: ServiceRef<Lakebase, 'root'>) =>
  createServiceFactory({
    service,
    deps: {
      rootConfig: coreServices.rootConfig,
      logger: coreServices.rootLogger,
      lifecycle: coreServices.rootLifecycle,
      metadata: coreServices.rootInstanceMetadata,
      provider: lakebaseWorkspaceTokenServiceRef,
    },
    factory: async ({ provider, ...deps }) => {
      const workspaceTokens = provider === NO_PROVIDER ? undefined : provider;
      const options = { ...deps, env: process.env, workspaceTokens };
      try {
        const lakebase = Lakebase.create(options);
        await lakebase.prepareForBypassing();
        return lakebase;
      } catch (error) {
        new FailedStart(deps.logger, systemClock).expect();
        throw error;
      }
    },
  });

/** Owns the credentials and the connections of the whole process. */
const lakebaseServiceRef = createServiceRef<Lakebase>({
  id: 'lakebase',
  scope: 'root',
  defaultFactory: service => Promise.resolve(createLakebaseFactory(service)),
});

/**
 * The database service on Lakebase, for backends that put their services
 * together one by one. A plugin that `backend.database` does not send to
 * Lakebase gets Backstage's own service: one with another `client` than `pg`,
 * with `lakebase: false`, or without a block that would hold for it.
 *
 * @public
 */
export const lakebaseDatabaseServiceFactory = createServiceFactory({
  service: coreServices.database,
  deps: {
    lakebase: lakebaseServiceRef,
    rootConfig: coreServices.rootConfig,
    rootLogger: coreServices.rootLogger,
    rootLifecycle: coreServices.rootLifecycle,
    plugin: coreServices.pluginMetadata,
    logger: coreServices.logger,
    lifecycle: coreServices.lifecycle,
  },
  createRootContext({ lakebase, rootConfig, rootLogger, rootLifecycle }) {
    const createManager = memoize((config: typeof rootConfig) =>
      DatabaseManager.fromConfig(config, { rootLogger, rootLifecycle }),
    );
    const createStock = (pluginId: string) =>
      createManager(isolateStockPlugin(rootConfig, process.env, pluginId));
    return { lakebase, createStock };
  },
  factory: (
    { plugin, logger, lifecycle },
    { lakebase, createStock },
  ): DatabaseService => {
    const id = plugin.getId();
    return (
      lakebase.forPlugin(id) ??
      createStock(id).forPlugin(id, { logger, lifecycle })
    );
  },
});

const rootHealthServiceFactory = createServiceFactory({
  service: coreServices.rootHealth,
  deps: { lakebase: lakebaseServiceRef, stock: stockRootHealthServiceRef },
  factory: ({ lakebase, stock }) => lakebase.probedBy(stock),
});

/** Logs a line at start, which the loader itself cannot. */
const createNoticeFactory = (notice: string) =>
  createServiceFactory({
    service: createServiceRef<object>({ id: 'lakebase.notice', scope: 'root' }),
    deps: { logger: coreServices.rootLogger },
    factory({ logger }) {
      logger.info(notice);
      return {};
    },
  });

/**
 * Replaces the database service when a plugin is on Lakebase by
 * `backend.database`, and does nothing otherwise.
 *
 * @public
 */
export const lakebaseFeatureLoader = createBackendFeatureLoader({
  deps: { rootConfig: coreServices.rootConfig },
  *loader({ rootConfig }) {
    if (!isConfigured(rootConfig, process.env)) {
      const reason = explainUnused(rootConfig, process.env);
      if (reason) yield createNoticeFactory(reason);
      return;
    }
    yield lakebaseDatabaseServiceFactory;
    // Yielded explicitly, so it starts even if another database service has
    // replaced ours and nothing depends on it: it warns of that.
    yield createLakebaseFactory(lakebaseServiceRef);
    if (wantsReadiness(rootConfig)) yield rootHealthServiceFactory;
  },
});
