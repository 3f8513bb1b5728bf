import type { Socket } from 'node:net';
import { LoggerService } from '@backstage/backend-plugin-api';
import knexFactory, { Knex } from 'knex';
import { attempt } from '../time/attempt';
import type { Attempts } from '../time/attempts';
import { type DirectTls, findingOut } from './directTls';
import { explainRefusals } from './explainRefusals';
import { knexConnections } from './knexConnections';
import { getPgClient } from './knexInternals';
import {
  type ConnectListener,
  forgetPassword,
  openConnection,
} from './openConnection';
import { keepToBudget, type PoolInBudgetOptions } from './poolInBudget';
import { keepPoolFresh } from './poolPolicy';
import { refuseWhenStopped } from './poolShutdown';
import type { SessionOptions } from './session';
import { dialTarget } from './sockets';
import { type ConnectionTarget, describeConnection } from './target';

export interface KnexClientOptions extends PoolInBudgetOptions {
  config: Knex.Config;
  target: ConnectionTarget;
  connectTimeoutMs: number;
  maxConnectionAgeMs: number;
  logger: LoggerService;
  attempts: Attempts;
  directTls: DirectTls;
  sessionOptions: SessionOptions;
  /** Gets every socket that is open. */
  sockets: Set<Socket>;
  /** Hears how connections are opened. */
  listeners?: ConnectListener[];
}

/**
 * Makes a Knex whose connections log in with a live credential.
 *
 * Only the instance is adjusted: `config.client` stays the string `pg`, which
 * Backstage's plugins ask for in about a hundred places.
 */
export function createKnexClient(options: KnexClientOptions): Knex {
  const { config, target, attempts, connectTimeoutMs } = options;
  const knex = knexFactory({ ...config, log: toKnexLog(options.logger) });
  const client = getPgClient(knex);
  const purpose = describeConnection(target);
  const open = installCredential(knex, options);
  const openInBudget = keepToBudget(client, open, options);
  const noteBirth = keepPoolFresh(knex, options);
  refuseWhenStopped(knex, attempts, purpose);
  client.acquireRawConnection = async () => {
    const connection = await attempts.run(
      purpose,
      connectTimeoutMs,
      openInBudget(),
    );
    noteBirth(connection);
    explainRefusals(connection, target, config.searchPath);
    return connection;
  };
  return knex;
}

/** Knex hides a password from copies; this one is none, but knows of one. */
const OWN = { configurable: true, enumerable: true, writable: true };

/** Lets whatever connects with the settings of a Knex do so with the credential. */
function installCredential(knex: Knex, options: KnexClientOptions) {
  const {
    tokens,
    target,
    sockets,
    clock,
    connectTimeoutMs: timeoutMs,
  } = options;
  const client = getPgClient(knex);
  const settings = client.connectionSettings;
  // For whom the hook is unknown: the clients of transactions, which share the
  // settings, and clients that a plugin makes from a copy. pg asks at each login.
  function password(this: unknown) {
    // pg calls it as a method of the client that logs in.
    if (this instanceof client.driver.Client) {
      this.once('connect', () => forgetPassword(this));
    }
    return attempt(signal => tokens.token(signal), { clock, timeoutMs });
  }
  Object.defineProperty(settings, 'password', { ...OWN, value: password });
  // Bounds what they open by themselves.
  settings.connectionTimeoutMillis ??= options.connectTimeoutMs;
  const createSocket = dialTarget(settings, target, sockets);
  const { ssl } = settings;
  Object.assign(client.config.connection as object, { password, ssl });
  const maker = knexConnections(client, target.role);
  const shortcuts = {
    directTls: findingOut(settings, options.directTls),
    sessionOptions: options.sessionOptions.of({
      searchPath: client.searchPath,
      role: target.role,
    }),
  };
  return (signal: AbortSignal) =>
    openConnection(maker, { ...options, ...shortcuts, createSocket, signal });
}

/** Makes sure that there is a connection, without a statement on it. */
export async function openFirst(knex: Knex): Promise<void> {
  const client = getPgClient(knex);
  await client.releaseConnection(await client.acquireConnection());
}

/**
 * Runs `work` so that a failed connection rejects at once, such as one to a
 * missing database: a user's pool may be configured not to propagate errors.
 */
export async function propagatingErrors(
  knex: Knex,
  work: () => Promise<void>,
): Promise<void> {
  const { pool } = getPgClient(knex);
  const { propagateCreateError } = pool;
  pool.propagateCreateError = true;
  try {
    await work();
  } finally {
    pool.propagateCreateError = propagateCreateError;
  }
}

/**
 * Without it Knex writes to the console. Its warnings repeat, once per caller,
 * errors that the callers get anyway.
 */
function toKnexLog(logger: LoggerService): Knex.Logger {
  const text = (message: unknown) => String(message);
  return {
    debug: message => logger.debug(text(message)),
    warn: message => logger.debug(text(message)),
    error: message => logger.error(text(message)),
    deprecate: (method, alternative) =>
      logger.debug(`${method} is deprecated, use ${alternative}`),
  };
}
