import type { Knex } from 'knex';
import type { Client } from 'pg';
import { elapsedMs, instant, type Instant } from '../time/clock';
import { getPgClient, isQueryTimeout, onQueryError } from './knexInternals';
import { Liveness, type LivenessOptions } from './liveness';
import { boundGoodbye } from './sockets';

/** Without a credential a connection cannot be replaced, so it is kept. */
const MAX_AGE_WITHOUT_CREDENTIAL_MS = 20 * 60 * 60_000;

/** Up to a tenth earlier, so connections of one age are not replaced at once. */
const AGE_JITTER = 0.1;

export interface PoolPolicyOptions extends LivenessOptions {
  maxConnectionAgeMs: number;
}

/**
 * Decides which connections of a pool are used again: not those that are too
 * old, that wait for a query that was given up, or that have died. While
 * there is no credential to open new ones with, neither age nor idleness ends
 * one.
 *
 * @returns what notes the birth of a connection.
 */
export function keepPoolFresh(
  knex: Knex,
  options: PoolPolicyOptions,
): (connection: Client) => void {
  const client = getPgClient(knex);
  const { pool } = client;
  const { tokens, clock } = options;
  const ages = new ConnectionAges(options);

  const liveness = new Liveness(options);
  const unusable = new Set<string>();
  onQueryError(knex, ({ code, message }, id) => {
    // pg leaves the connection to the query that it gave up, and lets the next
    // one wait behind it; on a dead connection, for ever.
    if (isQueryTimeout(message)) unusable.add(id);
    // The server ends the connection, but its end arrives later.
    if (code?.startsWith('57P')) {
      unusable.add(id);
      liveness.cutOff();
    }
  });

  const destroy = client.destroyRawConnection.bind(client);
  client.destroyRawConnection = connection => {
    unusable.delete(connection.__knexUid);
    boundGoodbye(connection, clock);
    return destroy(connection);
  };

  pool.on('release', connection => liveness.used(connection));
  const validate = pool.validate.bind(pool);
  pool.validate = async connection =>
    !unusable.has(connection.__knexUid) &&
    !ages.isOver(connection) &&
    (await validate(connection)) &&
    liveness.check(connection);

  const closeIdle = pool.check.bind(pool);
  pool.check = () => {
    if (tokens.usable) closeIdle();
  };
  return connection => {
    ages.add(connection);
    liveness.used(connection);
    connection.once('error', () => liveness.cutOff());
  };
}

/** Decides when a pooled connection is due to be replaced. */
class ConnectionAges {
  readonly #born = new WeakMap<Client, { at: Instant; limitMs: number }>();
  readonly #options: PoolPolicyOptions;

  constructor(options: PoolPolicyOptions) {
    this.#options = options;
  }

  add(connection: Client): void {
    const { maxConnectionAgeMs, clock } = this.#options;
    const limitMs = maxConnectionAgeMs * (1 - AGE_JITTER * clock.random());
    this.#born.set(connection, { at: instant(clock), limitMs });
  }

  isOver(connection: Client): boolean {
    const { tokens, clock } = this.#options;
    const { at, limitMs } = this.#born.get(connection)!;
    const ageMs = elapsedMs(clock, at);
    return tokens.usable
      ? ageMs > limitMs
      : ageMs > MAX_AGE_WITHOUT_CREDENTIAL_MS;
  }
}
