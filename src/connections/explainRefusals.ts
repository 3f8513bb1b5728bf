import type { Client } from 'pg';
import { formatExplanation } from '../errors';
import { findCure } from './cures';
import { getWire } from './pgWire';
import { READ_WRITE_REMEDY } from './postgresFaults';
import type { ConnectionTarget } from './target';

/** What to do about other refusals that a statement meets, by SQLSTATE. */
const ADVICE: Record<string, string> = {
  25006: `If the plugin did not ask for a read-only transaction: ${READ_WRITE_REMEDY}`,
  '57P01':
    'The endpoint was suspended, resized or failed over: try again, since the ' +
    'next query gets a new connection',
};

/**
 * Adds its cure to what Postgres refuses on this connection, above all for lack
 * of a right: a migration's error is shown to the operator as it is.
 *
 * To the message, since that is what Backstage prints of an error that stops
 * a start. At the protocol, since there the text is still Postgres's own
 * (Knex puts the statement and its values in front), and since Knex has no
 * event for streams and raw connections.
 */
export function explainRefusals(
  connection: Client,
  target: ConnectionTarget,
  searchPath: string | readonly string[] = [],
): void {
  // "$user" stands for a schema that a plugin's login does not have.
  const schema = [searchPath].flat().find(name => name !== '$user');
  // Ahead of pg's own listener, which ends the query.
  getWire(connection).prependListener('errorMessage', error => {
    const cure = findCure(error, { ...target, schema });
    const advice = cure ? formatExplanation(cure) : ADVICE[error.code ?? ''];
    if (advice) error.message += `. ${advice}`;
  });
}
