import {
  coreServices,
  createBackendFeatureLoader,
  createServiceFactory,
  createServiceRef,
  DatabaseService,
  ServiceRef,
} from '@backstage/backend-plugin-api';
import { DatabaseManager } from '@backstage/backend-defaults/database';
import { LAKEBASE_KEY } from './config';
import { Lakebase } from './lakebase';
import { runsOnPostgres } from './pluginDatabase';

const createLakebaseFactory = (service: ServiceRef<Lakebase, 'root'>) =>
  createServiceFactory({
    service,
    deps: {
      rootConfig: coreServices.rootConfig,
      logger: coreServices.rootLogger,
      lifecycle: coreServices.rootLifecycle,
    },
    factory: ({ rootConfig, logger, lifecycle }) =>
      Lakebase.create({ rootConfig, logger, lifecycle, env: process.env }),
  });

/** Owns the credential and the connections of the whole process. */
const lakebaseServiceRef = createServiceRef<Lakebase>({
  id: 'lakebase',
  scope: 'root',
  defaultFactory: service => Promise.resolve(createLakebaseFactory(service)),
});

/**
 * The database service on Lakebase, for backends that put their services
 * together one by one. It expects `backend.database.lakebase` in the
 * configuration. A plugin with another `client` than `pg` gets Backstage's own
 * service.
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
    lakebase.start();
    const stock = DatabaseManager.fromConfig(rootConfig, {
      rootLogger,
      rootLifecycle,
    });
    return {
      lakebase,
      stock,
      config: rootConfig.getConfig('backend.database'),
    };
  },
  factory: (
    { plugin, logger, lifecycle },
    { lakebase, stock, config },
  ): DatabaseService =>
    runsOnPostgres(config, plugin.getId())
      ? lakebase.forPlugin(plugin.getId())
      : stock.forPlugin(plugin.getId(), { logger, lifecycle }),
});

/**
 * Replaces the database service when `backend.database.lakebase` is
 * configured, and does nothing otherwise.
 *
 * @public
 */
export const lakebaseFeatureLoader = createBackendFeatureLoader({
  deps: { rootConfig: coreServices.rootConfig },
  *loader({ rootConfig }) {
    if (!rootConfig.has(LAKEBASE_KEY)) return;
    yield lakebaseDatabaseServiceFactory;
    // Said outright so that it is made at start, even when another database
    // service took the place of ours and nothing asks for it.
    yield createLakebaseFactory(lakebaseServiceRef);
  },
});
