import { Socket } from 'node:net';
import {
  checkServerIdentity,
  type ConnectionOptions,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
} from 'node:tls';
import type { Client, ClientConfig } from 'pg';
import type { Clock } from '../time/clock';
import { getWire } from './pgWire';
import type { ConnectionTarget } from './target';

/** A server that is there ends a connection at once; one that isn't, never. */
const GOODBYE_MS = 2_000;

/**
 * Lets connections with these settings dial `target`, wherever it is by then,
 * and keeps track of their sockets; those of transaction clients too, which
 * connect without the hook.
 *
 * pg overrides `ssl.servername` with any host that is a name, but behind an
 * alias the gateway expects its own name. So pg gets that name as its host, and
 * the sockets dial the host of `target`.
 *
 * @returns what makes the socket of the next connection.
 */
export function dialTarget(
  settings: ClientConfig,
  target: ConnectionTarget,
  sockets: Set<Socket>,
): () => Socket {
  const { servername } = (settings.ssl || {}) as ConnectionOptions;
  const name = () => servername || target.host;
  const createSocket = () => {
    const socket = new Socket();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const dial = socket.connect.bind(socket);
    socket.connect = ((port: number) => dial(port, target.host)) as typeof dial;
    return socket;
  };
  Object.defineProperty(settings, 'host', {
    get: name,
    // Plugins copy their settings, and assign what they copied.
    set: () => {},
    enumerable: true,
    configurable: true,
  });
  Object.defineProperty(settings, 'stream', { value: createSocket });
  if (settings.ssl) settings.ssl = verifyingName(settings.ssl, name);
  return createSocket;
}

/**
 * pg before 8.23 tells Node no name where the host is an IP address, and Node
 * then compares the certificate with `localhost`.
 */
const verifyingName = (ssl: true | ConnectionOptions, name: () => string) => ({
  ...(ssl === true ? {} : ssl),
  checkServerIdentity: (_: string, certificate: PeerCertificate) =>
    checkServerIdentity(name(), certificate),
});

/**
 * Reads certificates for the first connection, and not again for each: a bundle
 * of them takes longer than the rest of what a client computes for a login.
 */
export function readingOnce(
  ssl: ClientConfig['ssl'],
): () => ClientConfig['ssl'] {
  let secureContext: SecureContext | undefined;
  return () =>
    typeof ssl === 'object'
      ? { ...ssl, secureContext: (secureContext ??= createSecureContext(ssl)) }
      : ssl;
}

/** Else TCP would hold on to a dead connection for a quarter of an hour. */
export function boundGoodbye(connection: Client, clock: Clock): void {
  const socket = getWire(connection).stream;
  const cancel = clock.schedule(() => socket.destroy(), GOODBYE_MS);
  socket.once('close', cancel);
}

export const cutOff = (sockets: Set<Socket>) =>
  sockets.forEach(socket => socket.destroy());
