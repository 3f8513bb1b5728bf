import type { Socket } from 'node:net';
import type { Client } from 'pg';
import { LakebaseError, LakebaseErrorCode } from '../errors';
import { attempt } from '../time/attempt';
import type { Clock } from '../time/clock';
import { retry } from '../time/retry';
import type { DirectTls, DirectTlsTrial } from './directTls';
import { guardLogin } from './loginGuard';
import { explainConnectFault } from './postgresFaults';
import type { OptionsTrial, PoolOptions } from './session';
import type { ConnectionTarget } from './target';
import { withoutToken } from './withoutToken';

/** Where credentials come from; a TokenRefresher, seen from here. */
export interface TokenSource {
  token(signal: AbortSignal): Promise<string>;
  confirm(token: string, user: string): void;
  reject(token: string, user: string): boolean;
  readonly usable: boolean;
}

/** How one connection is opened, by pg's names. */
export interface Way {
  /** TLS at once, or once the server has agreed to it. */
  sslnegotiation?: 'direct' | 'postgres';
  /** What else is set at the login. */
  options?: string;
}

/** Whose connections are opened: Knex's, or those of the local proxy. */
export interface ConnectionMaker<C extends Client> {
  /** Makes one that will log in with this token over this socket. */
  create(token: string, socket: Socket, way: Way): C;
  /**
   * Makes it ready for use, once it is logged in; `settled` when the options of
   * its way hold.
   */
  prepare(connection: C, settled: boolean): Promise<void>;
}

/** Hears how connections are opened. */
export interface ConnectListener {
  /** One is open, or was given up after all retries. */
  onConnect?(info: { durationMs: number; error?: unknown }): void;
  /** A fault is retried, `sinceMs` after the first attempt began. */
  onRetry?(fault: LakebaseError, sinceMs: number): void;
  /** A login was refused; others may follow for the same connection. */
  onRefusedLogin?(fault: LakebaseError): void;
}

export interface OpenConnectionOptions {
  tokens: TokenSource;
  target: ConnectionTarget;
  createSocket: () => Socket;
  signal: AbortSignal;
  /** How long it is until then in all. */
  connectTimeoutMs: number;
  /** Absent without TLS, and where the way to it is configured. */
  directTls?: DirectTls;
  /** Absent where nothing can be set with the login. */
  sessionOptions?: PoolOptions;
  listeners?: ConnectListener[];
  clock: Clock;
}

/** A name that does not resolve is new for a moment, or wrong for good. */
const UNKNOWN_HOST_PATIENCE_MS = 5_000;

/** What an endpoint answers that listens elsewhere now. */
const MOVED: LakebaseErrorCode[] = [
  'database-unknown-host',
  'database-unreachable',
];

/** What an endpoint answers that minds who logs in. */
const REFUSALS: LakebaseErrorCode[] = [
  'token-refused',
  'role-missing',
  'external-authorization-failed',
];

/**
 * A server that does not answer may be gone, and another one be in its place:
 * one login leaves time for two more, so it has 20 s of a minute.
 */
const loginTimeoutMs = (connectTimeoutMs: number) =>
  Math.max(connectTimeoutMs / 3, 1_000);

/** Gives keys and clocks of a gateway time to catch up with a new credential. */
const SECOND_LOGIN_DELAY_MS = 1_000;

/**
 * Opens one connection: takes the token before the socket, and leaves nothing
 * open when anything fails on the way.
 *
 * Transient faults are retried until `signal` aborts. A refused token is
 * reported and one more login tried, whatever the reason for the refusal.
 *
 * @throws LakebaseError
 */
export async function openConnection<C extends Client>(
  maker: ConnectionMaker<C>,
  options: OpenConnectionOptions,
): Promise<C> {
  const { clock } = options;
  const begin = clock.monotonic();
  const report = (error?: unknown) => {
    const durationMs = clock.monotonic() - begin;
    options.listeners?.forEach(listener =>
      listener.onConnect?.({ durationMs, error }),
    );
  };
  try {
    const connection = await loginUntilDone(maker, options);
    report();
    return connection;
  } catch (error) {
    report(error);
    throw error;
  }
}

async function loginUntilDone<C extends Client>(
  maker: ConnectionMaker<C>,
  options: OpenConnectionOptions,
): Promise<C> {
  const { tokens, target, signal, listeners, clock } = options;
  const begin = clock.monotonic();
  let refused = false;
  let unknownSince: number | undefined;

  const tryOnce = async () => {
    const token = await tokens.token(signal);
    try {
      const connection = await login(maker, token, options);
      tokens.confirm(token, target.user);
      return connection;
    } catch (error) {
      const fault = explainConnectFault(error, target);
      if (REFUSALS.includes(fault.code)) {
        listeners?.forEach(listener => listener.onRefusedLogin?.(fault));
      }
      if (MOVED.includes(fault.code)) await target.relocate?.(signal);
      if (fault.code === 'database-unknown-host') {
        unknownSince ??= clock.monotonic();
        const unknownForMs = clock.monotonic() - unknownSince;
        throw unknownForMs > UNKNOWN_HOST_PATIENCE_MS
          ? fault.as('database-host-missing')
          : fault;
      }
      if (fault.code !== 'token-refused') throw fault;
      if (refused) throw fault.as('login-refused');

      refused = true;
      const renewed = tokens.reject(token, target.user);
      throw renewed ? fault : fault.as(fault.code, SECOND_LOGIN_DELAY_MS);
    }
  };
  const onRetry = (fault: LakebaseError) => {
    const sinceMs = clock.monotonic() - begin;
    listeners?.forEach(listener => listener.onRetry?.(fault, sinceMs));
  };
  return retry(tryOnce, { clock, signal, onRetry });
}

function login<C extends Client>(
  maker: ConnectionMaker<C>,
  token: string,
  options: OpenConnectionOptions,
): Promise<C> {
  const { clock, signal, connectTimeoutMs } = options;
  const timeoutMs = loginTimeoutMs(connectTimeoutMs);
  return attempt(until => loginOnce(maker, token, until, options), {
    clock,
    signal,
    timeoutMs,
  });
}

/** What is shorter than the usual way, and may not be taken. */
interface Trials {
  tls?: DirectTlsTrial;
  options?: OptionsTrial;
}

/** Goes on without whatever the server did not take. */
async function loginOnce<C extends Client>(
  maker: ConnectionMaker<C>,
  token: string,
  signal: AbortSignal,
  options: OpenConnectionOptions,
): Promise<C> {
  const { target, directTls, sessionOptions } = options;
  const trials: Trials = {
    tls: directTls?.begin(target),
    options: sessionOptions?.begin(target),
  };
  for (;;) {
    try {
      return await loginOver(maker, token, signal, options, trials);
    } catch (error) {
      if (trials.tls?.failed(error) && !signal.aborted) trials.tls = undefined;
      else if (trials.options?.failed(error) && !signal.aborted) {
        trials.options = undefined;
      } else throw error;
    }
  }
}

async function loginOver<C extends Client>(
  maker: ConnectionMaker<C>,
  token: string,
  signal: AbortSignal,
  { target, createSocket, directTls }: OpenConnectionOptions,
  trials: Trials,
): Promise<C> {
  if (signal.aborted) throw outOfTime(target);
  const socket = createSocket();
  const giveUp = () => socket.destroy();
  signal.addEventListener('abort', giveUp);
  try {
    const connection = maker.create(token, socket, {
      ...(directTls && { sslnegotiation: trials.tls ? 'direct' : 'postgres' }),
      ...(trials.options && { options: trials.options.options }),
    });
    guardLogin(connection);
    trials.tls?.watch(connection, socket);
    trials.options?.watch(connection, giveUp);
    // A late error of a connection given up must not end the process.
    connection.on('error', () => {});
    await connection.connect();
    forgetPassword(connection);
    const settled = (await trials.options?.holds(connection)) ?? false;
    await maker.prepare(connection, settled);
    return connection;
  } catch (error) {
    socket.destroy();
    throw withoutToken(error, token);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

const outOfTime = ({ host, port }: ConnectionTarget) =>
  new LakebaseError('database-unreachable', {
    problem: `No time was left to open a connection to ${host}:${port}`,
  });

/** The server has checked it; from here on it could only leak. */
export function forgetPassword(connection: Client): void {
  const { connectionParameters } = connection as Client & {
    connectionParameters: { password: unknown };
  };
  connectionParameters.password = null;
  (connection as { password?: unknown }).password = null;
}
