import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface DelayedLink {
  port: number;
  stop(): Promise<void>;
}

/** A TCP proxy on whose way each byte takes as long as it does on a real link. */
export async function startDelayedLink(
  upstream: { host: string; port: number },
  roundTripMs: number,
): Promise<DelayedLink> {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, client => {
    const there = connect({ ...upstream, noDelay: true });
    for (const socket of [client, there]) {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    }
    // Whoever goes away in the middle is gone.
    serve(client, there, roundTripMs).catch(() => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      open.forEach(socket => socket.destroy());
      server.close();
      await once(server, 'close');
    },
  };
}

/** Runs the same over each link, the nearest one being none at all. */
export async function overLinks<T extends { host: string; port: number }>(
  near: T,
  roundTripsMs: number[],
  run: (target: T, roundTripMs: number) => Promise<void>,
): Promise<void> {
  for (const roundTripMs of roundTripsMs) {
    if (roundTripMs === 0) {
      await run(near, 0);
      continue;
    }
    const link = await startDelayedLink(near, roundTripMs);
    try {
      await run({ ...near, port: link.port }, roundTripMs);
    } finally {
      await link.stop();
    }
  }
}

async function serve(client: Socket, there: Socket, roundTripMs: number) {
  // Resets are no news: the other side is told by the end.
  client.on('error', () => {});
  there.on('error', () => {});
  client.once('close', () => there.destroy());
  there.once('close', () => client.destroy());

  const [first] = (await once(client, 'data')) as [Buffer];
  client.pause();
  // The loopback has already connected, which takes a round trip on a link.
  await delay(roundTripMs + roundTripMs / 2);
  there.write(first);
  relay(there, client, roundTripMs / 2);
  relay(client, there, roundTripMs / 2);
}

function relay(from: Socket, to: Socket, delayMs: number): void {
  from.on('data', (bytes: Buffer) => {
    setTimeout(() => void to.write(bytes), delayMs);
  });
  from.resume();
}
