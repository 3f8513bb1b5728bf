import type { Knex } from 'knex';
import { type Attempts, type Purpose, shuttingDown } from '../time/attempts';
import { getPgClient } from './knexInternals';

/** A pool that is being destroyed would let the caller run into its time-out. */
export function refuseWhenStopped(
  knex: Knex,
  attempts: Attempts,
  purpose: Purpose,
): void {
  const client = getPgClient(knex);
  const acquire = client.acquireConnection.bind(client);
  client.acquireConnection = () =>
    attempts.stopped ? Promise.reject(shuttingDown(purpose)) : acquire();
}

/** Lets connections in use finish; callers that wait for one get an error. */
export async function closeKnexClient(knex: Knex): Promise<void> {
  const { pool } = getPgClient(knex);
  for (const waiting of [...pool.pendingAcquires]) {
    waiting.reject(shuttingDown('connection'));
  }
  await knex.destroy();
}
