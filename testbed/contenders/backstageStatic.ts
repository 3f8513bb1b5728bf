import { DatabaseManager } from '@backstage/backend-defaults/database';
import { ConfigReader } from '@backstage/config';
import type { Contender } from './contender';
import { connectionOf, poolOf, separateKnexes } from './knexDatabase';
import { lifecycleOf, silentLogger } from '../silence';

/** What a Backstage backend has without us, on a password that never changes. */
export const backstageStatic: Contender = {
  name: 'backstage',
  description: "Backstage's own connector, a password that never changes",
  mints: false,
  bounds: false,
  start: (target, settings) => {
    const { lifecycle, shutDown } = lifecycleOf();
    const manager = DatabaseManager.fromConfig(
      new ConfigReader({
        backend: {
          database: {
            client: 'pg',
            connection: {
              ...connectionOf(target),
              password: target.staticPassword,
            },
            pluginDivisionMode: 'schema',
            // It would look for the database from one that Lakebase lacks.
            ensureExists: false,
            ensureSchemaExists: true,
            knexConfig: { pool: poolOf(settings) },
          },
        },
      }),
      { rootLogger: silentLogger, rootLifecycle: lifecycle },
    );
    const services = { logger: silentLogger, lifecycle };
    const knexes = separateKnexes(pluginId =>
      manager.forPlugin(pluginId, services).getClient(),
    );
    const stop = async () => {
      await shutDown();
      await knexes.stop();
    };
    return Promise.resolve({ ...knexes, stop });
  },
};
