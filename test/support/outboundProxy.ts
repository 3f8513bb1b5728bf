import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

export interface OutboundProxy {
  url: string;
  /** Where its clients asked to go, as `host:port`. */
  destinations: string[];
  stop(): Promise<void>;
}

/** A company's way out of its network: passes on what is asked by CONNECT. */
export async function startOutboundProxy(): Promise<OutboundProxy> {
  const destinations: string[] = [];
  const server = createServer((_, response) => response.writeHead(405).end());
  server.on('connect', (request, client, head) => {
    destinations.push(request.url!);
    const [, port] = /:(\d+)$/.exec(request.url!)!;
    const target = connect(Number(port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      target.write(head);
      target.pipe(client).pipe(target);
    });
    target.on('error', () => client.destroy());
    client.on('error', () => target.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    destinations,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
