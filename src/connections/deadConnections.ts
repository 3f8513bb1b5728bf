import type { Knex } from 'knex';
import type { Client } from 'pg';
import type { Clock } from '../time/clock';
import { wireOf } from './pgWire';

/** A server that is there ends a connection at once; one that isn't, never. */
const GOODBYE_MS = 2_000;

/**
 * After `query_timeout` pg leaves a connection to the query that it gave up, and
 * lets the next one wait behind it; on a dead connection, for ever.
 *
 * @returns the ids that Knex gave such connections.
 */
export function stuckConnections(knex: Knex): Set<string> {
  const stuck = new Set<string>();
  knex.on(
    'query-error',
    ({ message }: Error, { __knexUid }: { __knexUid: string }) => {
      if (message.endsWith('Query read timeout')) stuck.add(__knexUid);
    },
  );
  return stuck;
}

/** Else TCP would hold on to a dead connection for a quarter of an hour. */
export function boundGoodbye(connection: Client, clock: Clock): void {
  const socket = wireOf(connection).stream;
  const cancel = clock.schedule(() => socket.destroy(), GOODBYE_MS);
  socket.once('close', cancel);
}
