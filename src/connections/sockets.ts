import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
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
  const createSocket = () => {
    const socket = new Socket();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const dial = socket.connect.bind(socket);
    socket.connect = ((port: number) => dial(port, target.host)) as typeof dial;
    return socket;
  };
  Object.defineProperty(settings, 'host', {
    get: () => servername ?? target.host,
    // Plugins copy their settings, and assign what they copied.
    set: () => {},
    enumerable: true,
    configurable: true,
  });
  Object.defineProperty(settings, 'stream', { value: createSocket });
  return createSocket;
}

/** Else TCP would hold on to a dead connection for a quarter of an hour. */
export function boundGoodbye(connection: Client, clock: Clock): void {
  const socket = getWire(connection).stream;
  const cancel = clock.schedule(() => socket.destroy(), GOODBYE_MS);
  socket.once('close', cancel);
}

export const cutOff = (sockets: Set<Socket>) =>
  sockets.forEach(socket => socket.destroy());
