import dns from 'node:dns';
import { once } from 'node:events';
import {
  type AddressInfo,
  connect,
  createServer,
  type Server,
  type Socket,
} from 'node:net';
import type { Knex } from 'knex';

interface Link {
  client: Socket;
  server: Socket;
  dead: boolean;
}

export interface NetworkOptions {
  /** Where a process dials, and at which port; any one unless told. */
  address?: string;
  port?: number;
}

/** The way from a process to the gateway, which a test can break. */
export class FaultyNetwork {
  /** How many connections were opened through it. */
  dialled = 0;
  readonly #server: Server;
  readonly #links = new Set<Link>();

  static async start(
    gateway: { port: number },
    { address = '127.0.0.1', port = 0 }: NetworkOptions = {},
  ): Promise<FaultyNetwork> {
    const network = new FaultyNetwork(gateway.port);
    network.#server.listen(port, address);
    await once(network.#server, 'listening');
    return network;
  }

  private constructor(gatewayPort: number) {
    // A dead link answers nothing, not even the end of the other side.
    this.#server = createServer({ allowHalfOpen: true }, client => {
      this.dialled += 1;
      this.#join(client, connect(gatewayPort, '127.0.0.1'));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Nothing gets through on open connections any more, nor does their end. */
  swallow(): void {
    for (const link of this.#links) {
      link.dead = true;
      link.client.unpipe().resume();
      link.server.unpipe().resume();
    }
  }

  /** What TCP does with a dead connection once it has waited long enough. */
  giveUp(): void {
    for (const { client, server, dead } of this.#links) {
      if (!dead) continue;
      client.resetAndDestroy();
      server.destroy();
    }
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
    await closed;
  }

  #join(client: Socket, server: Socket): void {
    const link: Link = { client, server, dead: false };
    this.#links.add(link);
    client.pipe(server).pipe(client);
    const follow = (gone: Socket, other: Socket) => {
      // Resets are part of the game; 'close' follows.
      gone.on('error', () => {});
      gone.on('close', () => {
        if (other.closed) this.#links.delete(link);
        if (!link.dead) other.destroy();
      });
    };
    follow(client, server);
    follow(server, client);
  }
}

/**
 * Networks of one test file, all stopped after each test. To be called ahead
 * of lakebaseTests(): a connection that is dead would keep it waiting.
 */
export function networkTests() {
  const networks: FaultyNetwork[] = [];

  afterEach(async () => {
    await Promise.all(networks.splice(0).map(network => network.stop()));
    jest.restoreAllMocks();
  });

  return async (...options: Parameters<typeof FaultyNetwork.start>) => {
    const network = await FaultyNetwork.start(...options);
    networks.push(network);
    return network;
  };
}

/** An address of this machine beside 127.0.0.1; not each has the first one. */
export async function otherAddress(): Promise<string> {
  const probe = createServer().listen(0, '::1');
  const listens = await once(probe, 'listening').then(
    () => true,
    () => false,
  );
  if (!listens) return '127.0.0.2';
  probe.close();
  await once(probe, 'close');
  return '::1';
}

type LookupCallback = (
  error: Error | null,
  address?: string | dns.LookupAddress[],
  family?: number,
) => void;

/**
 * Lets these names lead to these addresses, or to none, until the test ends or
 * is told otherwise. All other names are resolved as ever.
 */
export function resolveNames(names: Record<string, string | null>): void {
  jest.restoreAllMocks();
  const usual = dns.lookup as (...args: unknown[]) => void;
  jest.spyOn(dns, 'lookup').mockImplementation((...args: unknown[]) => {
    const address = names[args[0] as string];
    if (address === undefined) return usual(...args);
    const callback = args.at(-1) as LookupCallback;
    process.nextTick(() => {
      if (address === null) return callback(unknownName());
      const family = address.includes(':') ? 6 : 4;
      const { all } = args[1] as dns.LookupOptions;
      callback(null, all ? [{ address, family }] : address, family);
    });
  });
}

const unknownName = () =>
  Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });

/** Uses as many connections as this, all of them at the same time. */
export async function useAtOnce(knex: Knex, count: number): Promise<void> {
  const transactions = await Promise.all(
    Array.from({ length: count }, () => knex.transaction()),
  );
  await Promise.all(transactions.map(each => each.rollback()));
}
