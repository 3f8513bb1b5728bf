import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';

export interface Wiretap {
  /** An https URL, whether there is TLS behind it or not. */
  url: string;
  connections(): number;
  /** All that came in, as it reads once TLS is taken off; whole at its end. */
  heard(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Somebody who pretends to be the workspace and writes down what is said.
 * Without a certificate it speaks plain HTTP.
 */
export async function startWiretap(certificate?: {
  key: string;
  cert: string;
}): Promise<Wiretap> {
  const sockets = new Map<Socket, Promise<unknown>>();
  let heard = '';

  function listen(socket: Socket | TLSSocket) {
    socket.on('error', () => {
      // The other side has seen through it, and hung up.
    });
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
      socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
    });
  }
  const server = certificate
    ? createTlsServer(certificate, listen)
    : createServer(listen);
  server.on('connection', (socket: Socket) =>
    sockets.set(socket, once(socket, 'close')),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => sockets.size,
    heard: async () => {
      await Promise.all(sockets.values());
      return heard;
    },
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets.keys()) socket.destroy();
      await closed;
    },
  };
}
