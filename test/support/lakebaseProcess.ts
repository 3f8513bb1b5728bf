import { once } from 'node:events';
import { ConfigReader } from '@backstage/config';
import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import type { Clock } from '../../src/time/clock';
import { Lakebase } from '../../src/lakebase';
import { freeConnections, keepingLogger } from './lakebase';

/** What a process of a test runs, with this app-config. */
export function lakebaseProcess(config: JsonObject, clock?: Clock) {
  const { logger, lines } = keepingLogger();
  const lakebase = Lakebase.create({
    rootConfig: new ConfigReader(config),
    logger,
    lifecycle: {
      addStartupHook: () => {},
      addShutdownHook: () => {},
      addBeforeShutdownHook: () => {},
    },
    metadata: { getInstalledPlugins: () => Promise.resolve([]) },
    env: {},
    clock,
  });
  return { lakebase, lines };
}

/** Resolves when a pool knows that the server closed its idle connections. */
export async function noticeLoss(knex: Knex): Promise<void> {
  const open = freeConnections(knex).filter(
    connection => !('__knex__disposed' in connection),
  );
  await Promise.all(open.map(connection => once(connection, 'end')));
}
