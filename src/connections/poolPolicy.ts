import type { Knex } from 'knex';
import type { Client } from 'pg';
import { elapsedMs, instant, type Instant } from '../time/clock';
import { getPgClient, onQueryTimeout } from './knexInternals';
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
 * old, that wait for a query that was given up, or that died while idle. While
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

  // After `query_timeout` pg leaves a connection to the query that it gave up,
  // and lets the next one wait behind it; on a dead connection, for ever.
  const stuck = new Set<string>();
  onQueryTimeout(knex, id => stuck.add(id));

  const destroy = client.destroyRawConnection.bind(client);
  client.destroyRawConnection = connection => {
    stuck.delete(connection.__knexUid);
    boundGoodbye(connection, clock);
    return destroy(connection);
  };

  const liveness = new Liveness(options);
  pool.on('release', connection => liveness.used(connection));
  const validate = pool.validate.bind(pool);
  pool.validate = async connection =>
    !stuck.has(connection.__knexUid) &&
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
