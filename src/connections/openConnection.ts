import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, ClientConfig, escapeIdentifier } from 'pg';
import type { EndpointAddress } from './endpointAddress';
import { LakebaseError, LakebaseErrorCode } from '../errors';
import { wireOf } from './pgWire';
import { connectFault, ConnectionTarget } from './postgresFaults';
import { attempt } from '../time/attempt';
import type { Clock } from '../time/clock';
import { retry } from '../time/retry';

/** Where the connector gets its credentials; a TokenRefresher, seen from here. */
export interface TokenSource {
  token(signal: AbortSignal): Promise<string>;
  confirm(token: string, user: string): void;
  reject(token: string, user: string): boolean;
  readonly current: string;
  readonly usable: boolean;
}

/** What Knex 3.0 to 3.3 make a Postgres connection with. */
export interface KnexPgClient {
  driver: { Client: typeof Client };
  connectionSettings: ClientConfig;
  version?: string;
  checkVersion(connection: Client): Promise<string>;
  setSchemaSearchPath(connection: Client): Promise<unknown>;
}

/** Hears how connections are opened. */
export interface ConnectListener {
  /** One is open, or was given up after all retries. */
  onConnect(info: { durationMs: number; error?: unknown }): void;
  /** A login was refused; others may follow for the same connection. */
  onRefusedLogin(fault: LakebaseError): void;
}

export interface OpenConnectionOptions {
  tokens: TokenSource;
  target: ConnectionTarget;
  createSocket: () => Socket;
  /** Looks up where the endpoint listens now, when it isn't where it was. */
  relocate?: (signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
  /** How long it is until then in all. */
  connectTimeoutMs: number;
  listener?: ConnectListener;
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
 * After a failover a session may be left on the old primary; the next one is on
 * the new one.
 */
const READ_ONLY = '25006';

/**
 * Whoever answers nothing may be gone, and another one be in its place: a login
 * leaves time for two more, which is 20 s of a minute.
 */
const loginTimeoutMs = (connectTimeoutMs: number) =>
  Math.max(connectTimeoutMs / 3, 1_000);

/** Gives keys and clocks of a gateway time to catch up with a new credential. */
const SECOND_LOGIN_DELAY_MS = 1_000;

/**
 * Opens one connection as Knex would, but takes the token before the socket,
 * and leaves nothing open when anything fails on the way.
 *
 * Transient faults are retried until `signal` aborts. A refused token is
 * reported and one more login tried, whatever the reason for the refusal.
 *
 * @throws LakebaseError
 */
export async function openConnection(
  client: KnexPgClient,
  options: OpenConnectionOptions,
): Promise<Client> {
  const { clock } = options;
  const begin = clock.monotonic();
  const tell = (error?: unknown) => {
    const durationMs = clock.monotonic() - begin;
    options.listener?.onConnect({ durationMs, error });
  };
  try {
    const connection = await loginUntilDone(client, options);
    tell();
    return connection;
  } catch (error) {
    tell(error);
    throw error;
  }
}

async function loginUntilDone(
  client: KnexPgClient,
  options: OpenConnectionOptions,
): Promise<Client> {
  const { tokens, target, signal, listener, clock } = options;
  let refused = false;
  let unknownSince: number | undefined;

  return retry(async () => {
    const token = await tokens.token(signal);
    try {
      const connection = await login(client, token, options);
      tokens.confirm(token, target.user);
      return connection;
    } catch (error) {
      const fault = connectFault(error, target);
      if (REFUSALS.includes(fault.code)) listener?.onRefusedLogin(fault);
      if (MOVED.includes(fault.code)) await options.relocate?.(signal);
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
  }, options);
}

function login(
  client: KnexPgClient,
  token: string,
  options: OpenConnectionOptions,
): Promise<Client> {
  const { clock, signal, connectTimeoutMs } = options;
  const timeoutMs = loginTimeoutMs(connectTimeoutMs);
  return attempt(until => loginOnce(client, token, until, options), {
    clock,
    signal,
    timeoutMs,
  });
}

async function loginOnce(
  client: KnexPgClient,
  token: string,
  signal: AbortSignal,
  { target, createSocket }: OpenConnectionOptions,
): Promise<Client> {
  if (signal.aborted) throw outOfTime(target);
  const socket = createSocket();
  const giveUp = () => socket.destroy();
  signal.addEventListener('abort', giveUp);
  try {
    const connection = createConnection(client, token, socket);
    await connection.connect();
    forgetPassword(connection);
    // Only where a server or what is before it keeps its version to itself.
    client.version ??= await client.checkVersion(connection);
    await client.setSchemaSearchPath(connection);
    if (target.role) {
      await connection.query(`SET ROLE ${escapeIdentifier(target.role)}`);
    }
    return connection;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function createConnection(
  client: KnexPgClient,
  token: string,
  socket: Socket,
): Client {
  const connection = new client.driver.Client({
    ...client.connectionSettings,
    password: token,
    stream: () => socket,
  });
  // Knex asks for this mark before it reuses a connection. The listener also
  // keeps a late error of a connection given up from ending the process.
  const dispose = (error?: unknown) =>
    Object.assign(connection, {
      __knex__disposed: error ?? 'Connection ended unexpectedly',
    });
  connection.on('error', dispose);
  connection.on('end', dispose);
  const wire = wireOf(connection);
  // A query in flight gets the server's last words, and Knex the connection
  // back, before pg notices the end.
  wire.on('errorMessage', ({ severity, code }) => {
    if (severity === 'FATAL' || severity === 'PANIC') dispose(severity);
    if (code === READ_ONLY) dispose('The server takes no writes');
  });
  // Told at every login, so that it need not be asked for: the first word of
  // what Knex would read out of `select version()`.
  wire.on('parameterStatus', ({ parameterName, parameterValue }) => {
    if (parameterName !== 'server_version') return;
    client.version ??= parameterValue.split(' ')[0];
  });
  return connection;
}

const outOfTime = ({ host, port }: ConnectionTarget) =>
  new LakebaseError('database-unreachable', {
    message: `No time was left to open a connection to ${host}:${port}`,
  });

/**
 * Makes the sockets of connections with these settings, and keeps track of
 * them; those of transaction clients too, which connect without the hook.
 *
 * pg overrides `ssl.servername` with any host that is a name, but through an
 * alias the gateway must still be asked for by its own. So pg is told that
 * name, and the sockets dial the host of `target`.
 */
export function trackSockets(
  settings: ClientConfig,
  target: ConnectionTarget,
  sockets: Set<Socket>,
): () => Socket {
  tellHost(settings, target);
  const createSocket = () => {
    const socket = new Socket();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const dial = socket.connect.bind(socket);
    socket.connect = ((port: number) => dial(port, target.host)) as typeof dial;
    return socket;
  };
  Object.defineProperty(settings, 'stream', { value: createSocket });
  return createSocket;
}

/** Lets connections with these settings follow the endpoint to another host. */
export const following =
  (
    address: EndpointAddress,
    settings: ClientConfig,
    target: ConnectionTarget,
  ): OpenConnectionOptions['relocate'] =>
  async signal => {
    target.host = await address.renewed(signal);
    tellHost(settings, target);
  };

function tellHost(settings: ClientConfig, target: ConnectionTarget): void {
  const { servername } = (settings.ssl || {}) as ConnectionOptions;
  settings.host = servername ?? target.host;
}

/** The server has checked it; from here on it could only leak. */
function forgetPassword(connection: Client): void {
  const { connectionParameters } = connection as Client & {
    connectionParameters: { password: unknown };
  };
  connectionParameters.password = null;
  (connection as { password?: unknown }).password = null;
}
