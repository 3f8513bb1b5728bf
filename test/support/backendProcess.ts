import { setImmediate } from 'node:timers/promises';
import { createBackend } from '@backstage/backend-defaults';
import {
  coreServices,
  createBackendPlugin,
  createServiceFactory,
} from '@backstage/backend-plugin-api';
import { ConfigReader } from '@backstage/config';
import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import lakebaseModule from '../../src';
import { answerParent } from '../../testbed/answerParent';
import { noticeLoss } from './lakebaseProcess';

// The entry of a backend as an orchestrator runs it, with its exit handlers.
let knex: Knex;

const portal = createBackendPlugin({
  pluginId: 'portal',
  register(env) {
    env.registerInit({
      deps: {
        database: coreServices.database,
        // Its keys are in the database as well.
        auth: coreServices.auth,
        http: coreServices.httpRouter,
      },
      async init({ database }) {
        knex = await database.getClient();
      },
    });
  },
});

const say = (text: string) => process.stdout.write(`${text}\n`);

process.on('unhandledRejection', error => say(`unhandled: ${String(error)}`));
process.on('uncaughtException', error => say(`uncaught: ${String(error)}`));

const backend = createBackend();
backend.add(
  createServiceFactory({
    service: coreServices.rootConfig,
    deps: {},
    factory: () => new ConfigReader(JSON.parse(process.argv[2]) as JsonObject),
  }),
);
backend.add(lakebaseModule);
backend.add(portal);
const started = backend.start();
started.catch(() => say('the backend did not start'));

answerParent({
  started: () => started,
  noticeLoss: () => noticeLoss(knex),
  /** Begins it; its outcome is said later. */
  query: async (sql: string) => {
    knex.raw(sql).then(
      () => say(`${sql}: done`),
      ({ code }) => say(`${sql}: ${code}`),
    );
    await setImmediate();
  },
});
