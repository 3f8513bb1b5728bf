import {
  coreServices,
  createBackendPlugin,
} from '@backstage/backend-plugin-api';
import type { Knex } from 'knex';

/** One table and one migration, as small plugins of a company have. */
const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: () => Promise.resolve(['1_records']),
  getMigrationName: name => name,
  getMigration: () =>
    Promise.resolve({
      up: knex =>
        knex.schema.createTable('records', table => {
          table.increments();
          table.string('name').notNullable();
        }),
      down: knex => knex.schema.dropTable('records'),
    }),
};

const companyPlugin = (pluginId: string) =>
  createBackendPlugin({
    pluginId,
    register(env) {
      env.registerInit({
        deps: {
          database: coreServices.database,
          // Brings the keys of the plugin along, as every router does.
          router: coreServices.httpRouter,
        },
        async init({ database }) {
          const knex = await database.getClient();
          if (!database.migrations?.skip) {
            await knex.migrate.latest({ migrationSource });
          }
        },
      });
    },
  });

/** Complete the count to 13. */
export const companyPlugins = ['costs', 'inventory'].map(companyPlugin);
