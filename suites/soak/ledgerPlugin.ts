import { json } from 'node:stream/consumers';
import {
  coreServices,
  createBackendPlugin,
} from '@backstage/backend-plugin-api';
import type { Knex } from 'knex';

interface Entry {
  id: string;
  /** How long its transaction stays open. */
  seconds: number;
}

/** Two rows at once: half an entry would be one that was lost. */
async function write(knex: Knex, { id, seconds }: Entry): Promise<void> {
  await knex.transaction(async trx => {
    await trx('entries').insert({ id, side: 'debit' });
    await trx.raw('select pg_sleep(?)', [seconds]);
    await trx('entries').insert({ id, side: 'credit' });
  });
}

/** A plugin of a company's own, which writes and says when it has written. */
export const ledgerPlugin = createBackendPlugin({
  pluginId: 'ledger',
  register(env) {
    env.registerInit({
      deps: {
        database: coreServices.database,
        router: coreServices.httpRouter,
      },
      async init({ database, router }) {
        const knex = await database.getClient();
        await knex.schema.createTable('entries', table => {
          table.string('id').notNullable();
          table.string('side').notNullable();
          table.primary(['id', 'side']);
        });
        router.use((request, response, next) => {
          json(request)
            .then(entry => write(knex, entry as Entry))
            .then(() => response.status(201).json({}), next);
        });
      },
    });
  },
});
