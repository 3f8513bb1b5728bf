import type { Socket } from 'node:net';
import { LoggerService } from '@backstage/backend-plugin-api';
import knexFactory, { Knex } from 'knex';
import type { Client } from 'pg';
import { Attempts, shuttingDown } from '../time/attempts';
import { type Clock, elapsedMs, instant, Instant } from '../time/clock';
import { boundGoodbye, stuckConnections } from './deadConnections';
import type { EndpointAddress } from './endpointAddress';
import { takeTurnsAtMigrations } from '../migrations/migrations';
import {
  ConnectListener,
  following,
  openConnection,
  TokenSource,
  trackSockets,
} from './openConnection';
import type { PooledClient } from './pooledClient';
import { keepToBudget, type PoolInBudgetOptions } from './poolInBudget';
import type { ConnectionTarget } from './postgresFaults';
import { explainRefusals } from './cures';

/** Without a credential a connection can't be replaced, so it is kept longer: */
const MAX_AGE_WITHOUT_CREDENTIAL_MS = 20 * 60 * 60_000;

/** ... replaced a tenth earlier at most, so that they don't go all at once. */
const AGE_JITTER = 0.1;

export interface KnexClientOptions extends PoolInBudgetOptions {
  config: Knex.Config;
  target: ConnectionTarget;
  connectTimeoutMs: number;
  maxConnectionAgeMs: number;
  logger: LoggerService;
  attempts: Attempts;
  /** Gets every socket that is open. */
  sockets: Set<Socket>;
  /** Left out where the configuration says the host. */
  address?: EndpointAddress;
  /** Hears how connections are opened. */
  listener?: ConnectListener;
}

/**
 * Makes a Knex whose connections log in with a live credential.
 *
 * Only the instance is adjusted: `config.client` stays the string `pg`, which
 * Backstage's plugins ask for in about a hundred places.
 */
export function createKnexClient(options: KnexClientOptions): Knex {
  const { config, tokens, target, attempts, sockets, clock } = options;
  const knex = knexFactory({ ...config, log: knexLog(options.logger) });
  const client = knex.client as PooledClient;

  // Clients of transactions share this object and know nothing of the hook.
  Object.defineProperty(client.connectionSettings, 'password', {
    get: () => tokens.current,
    enumerable: false,
    configurable: true,
  });

  const settings = client.connectionSettings;
  const createSocket = trackSockets(settings, target, sockets);
  const { address } = options;
  const relocate = address && following(address, settings, target);
  // Bounds what transaction clients open by themselves.
  client.connectionSettings.connectionTimeoutMillis ??=
    options.connectTimeoutMs;
  const purpose = `connection to ${target.host}:${target.port}`;
  const ages = new ConnectionAges(options);
  const { listener, connectTimeoutMs } = options;
  const open = (signal: AbortSignal) =>
    openConnection(client, {
      tokens,
      target,
      createSocket,
      relocate,
      signal,
      connectTimeoutMs,
      listener,
      clock,
    });
  const openInBudget = keepToBudget(client, open, options);
  client.acquireRawConnection = async () => {
    const connection = await attempts.run(
      purpose,
      options.connectTimeoutMs,
      openInBudget(),
    );
    ages.add(connection);
    explainRefusals(connection, target, config.searchPath);
    return connection;
  };

  const stuck = stuckConnections(knex);
  const destroy = client.destroyRawConnection.bind(client);
  client.destroyRawConnection = connection => {
    stuck.delete(connection.__knexUid);
    boundGoodbye(connection, clock);
    return destroy(connection);
  };

  const { pool } = client;
  // A pool that is being destroyed would let the caller run into its timeout.
  const acquire = client.acquireConnection.bind(client);
  client.acquireConnection = () =>
    attempts.stopped ? Promise.reject(shuttingDown(purpose)) : acquire();

  const validate = pool.validate.bind(pool);
  pool.validate = async connection =>
    !stuck.has(connection.__knexUid) &&
    !ages.isOver(connection) &&
    validate(connection);

  // Reaps idle connections, which could not be opened again without a token.
  const check = pool.check.bind(pool);
  pool.check = () => {
    if (tokens.usable) check();
  };

  takeTurnsAtMigrations(knex, {
    patienceMs: options.connectTimeoutMs,
    target,
    logger: options.logger,
    clock,
  });
  return knex;
}

/** Makes sure that there is a connection, without a statement on it. */
export async function openFirst(knex: Knex): Promise<void> {
  const client = knex.client as PooledClient;
  await client.releaseConnection(await client.acquireConnection());
}

/** Lets connections in use finish; whoever still waits for one is told why. */
export async function closeKnexClient(knex: Knex): Promise<void> {
  const { pool } = knex.client as PooledClient;
  for (const waiting of [...pool.pendingAcquires]) {
    waiting.reject(shuttingDown('connection'));
  }
  await knex.destroy();
}

/**
 * Runs `work` with errors that come at once, as does one that names a missing
 * database: a user's pool may have been told to keep them to itself.
 */
export async function tellingCreateErrors(
  knex: Knex,
  work: () => Promise<void>,
): Promise<void> {
  const { pool } = knex.client as PooledClient;
  const { propagateCreateError } = pool;
  pool.propagateCreateError = true;
  try {
    await work();
  } finally {
    pool.propagateCreateError = propagateCreateError;
  }
}

/** Decides when a pooled connection is due to be replaced. */
class ConnectionAges {
  readonly #born = new WeakMap<Client, { at: Instant; limitMs: number }>();
  readonly #maxAgeMs: number;
  readonly #tokens: TokenSource;
  readonly #clock: Clock;

  constructor({ maxConnectionAgeMs, tokens, clock }: KnexClientOptions) {
    this.#maxAgeMs = maxConnectionAgeMs;
    this.#tokens = tokens;
    this.#clock = clock;
  }

  add(connection: Client): void {
    const jitter = 1 - AGE_JITTER * this.#clock.random();
    const limitMs = this.#maxAgeMs * jitter;
    this.#born.set(connection, { at: instant(this.#clock), limitMs });
  }

  isOver(connection: Client): boolean {
    const { at, limitMs } = this.#born.get(connection)!;
    const ageMs = elapsedMs(this.#clock, at);
    return this.#tokens.usable
      ? ageMs > limitMs
      : ageMs > MAX_AGE_WITHOUT_CREDENTIAL_MS;
  }
}

/**
 * Without it Knex writes to the console. Its warnings repeat, once per caller,
 * errors that the callers get anyway.
 */
function knexLog(logger: LoggerService): Knex.Logger {
  const text = (message: unknown) => String(message);
  return {
    debug: message => logger.debug(text(message)),
    warn: message => logger.debug(text(message)),
    error: message => logger.error(text(message)),
    deprecate: (method, alternative) =>
      logger.debug(`${method} is deprecated, use ${alternative}`),
  };
}
