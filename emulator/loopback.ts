import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';

export interface LoopbackListener {
  port: number;
  close(): Promise<void>;
}

/**
 * `localhost` means 127.0.0.1 to one client and ::1 to another, so a server
 * listens on both, at the same port. A machine without IPv6 gets the first only.
 */
export async function listenOnLoopback(
  createServer: () => Server,
  port = 0,
): Promise<LoopbackListener> {
  const first = createServer();
  await listen(first, '127.0.0.1', port);
  const chosen = (first.address() as AddressInfo).port;

  const second = createServer();
  try {
    await listen(second, '::1', chosen);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      await close(first);
      // The system chose a port that is free on 127.0.0.1 only.
      if (port === 0) return listenOnLoopback(createServer);
      throw error;
    }
    return { port: chosen, close: () => close(first) };
  }
  return {
    port: chosen,
    close: async () => {
      await Promise.all([close(first), close(second)]);
    },
  };
}

async function listen(server: Server, host: string, port: number) {
  server.listen(port, host);
  await once(server, 'listening');
}

async function close(server: Server) {
  server.close();
  await once(server, 'close');
}
