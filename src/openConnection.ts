import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, ClientConfig, escapeIdentifier } from 'pg';
import { LakebaseError } from './errors';
import { connectFault, ConnectionTarget } from './postgresFaults';
import { retry } from './retry';

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

export interface OpenConnectionOptions {
  tokens: TokenSource;
  target: ConnectionTarget;
  createSocket: () => Socket;
  /** Every socket that is open, so that shutdown leaves none behind. */
  sockets: Set<Socket>;
  signal: AbortSignal;
}

/** A name that does not resolve is new for a moment, or wrong for good. */
const UNKNOWN_HOST_PATIENCE_MS = 5_000;

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
  const { tokens, target, signal } = options;
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
      if (fault.code === 'database-unknown-host') {
        unknownSince ??= performance.now();
        const unknownForMs = performance.now() - unknownSince;
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
  }, signal);
}

async function login(
  client: KnexPgClient,
  token: string,
  { target, createSocket, sockets, signal }: OpenConnectionOptions,
): Promise<Client> {
  const socket = createSocket();
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  const giveUp = () => socket.destroy();
  signal.addEventListener('abort', giveUp);
  try {
    if (signal.aborted) throw outOfTime(target);
    const connection = createConnection(client, token, socket);
    await connection.connect();
    forgetPassword(connection);
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
  return connection;
}

const outOfTime = ({ host, port }: ConnectionTarget) =>
  new LakebaseError('database-unreachable', {
    message: `No time was left to open a connection to ${host}:${port}`,
  });

/**
 * Gives the settings the way to a host that is an alias of the endpoint.
 *
 * pg overrides `ssl.servername` with any host that is a name, but the gateway
 * must be asked for by its own. So pg is told that name, and the sockets dial
 * the alias.
 *
 * @returns what makes the sockets of connections with these settings.
 */
export function dialAlias(settings: ClientConfig): () => Socket {
  const { host, ssl } = settings;
  const servername = (ssl as ConnectionOptions | undefined)?.servername;
  if (!servername || !host) return () => new Socket();

  settings.host = servername;
  const createSocket = () => {
    const socket = new Socket();
    const dial = socket.connect.bind(socket);
    socket.connect = ((port: number) => dial(port, host)) as typeof dial;
    return socket;
  };
  // For the clients of transactions, which make connections by themselves.
  Object.defineProperty(settings, 'stream', { value: createSocket });
  return createSocket;
}

/** The server has checked it; from here on it could only leak. */
function forgetPassword(connection: Client): void {
  const { connectionParameters } = connection as Client & {
    connectionParameters: { password: unknown };
  };
  connectionParameters.password = null;
  (connection as { password?: unknown }).password = null;
}
