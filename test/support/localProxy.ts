import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, type ClientConfig } from 'pg';
import type { Emulator } from '../../emulator';
import { ConnectionBudget } from '../../src/connections/connectionBudget';
import { DirectTls } from '../../src/connections/directTls';
import { Targets } from '../../src/connections/targets';
import { explainRefreshFault } from '../../src/databricks/credentialFaults';
import { LocalProxy } from '../../src/localProxy/localProxy';
import { socketPath } from '../../src/localProxy/socketFile';
import { Attempts } from '../../src/time/attempts';
import { type Clock, systemClock } from '../../src/time/clock';
import { TokenRefresher } from '../../src/tokenRefresher';
import { keepingLogger } from './lakebase';
import { createWorkspace } from './workspaces';

export interface TestProxy {
  /** What a client dials. */
  address: { directory: string; port: number };
  close(): Promise<void>;
}

export interface TestProxyOptions {
  directory: string;
  role?: string;
  connectTimeoutMs?: number;
  budget?: ConnectionBudget;
  clock?: Clock;
}

/** A local proxy to the emulator, without the rest of the module. */
export async function startProxy(
  emulator: Emulator,
  {
    directory,
    role,
    connectTimeoutMs = 20_000,
    budget,
    clock = systemClock,
  }: TestProxyOptions,
): Promise<TestProxy> {
  const workspace = createWorkspace(emulator);
  const attempts = new Attempts(clock);
  const tokens = new TokenRefresher({
    mint: signal => workspace.mintCredential(signal),
    explain: explainRefreshFault,
    clock,
  });
  const address = { directory, port: 5432 };
  const proxy = new LocalProxy({
    socket: address,
    connection: {
      port: emulator.gateway.port,
      ssl: { ca: emulator.ca.cert, rejectUnauthorized: true },
      database: 'databricks_postgres',
    },
    role,
    connectTimeoutMs,
    budget,
    directTls: new DirectTls(clock),
    tokens,
    attempts,
    targets: new Targets({
      findHost: signal => workspace.findHost(signal),
      clientId: emulator.servicePrincipal.clientId,
      findUser: signal => workspace.findUser(signal),
      connectTimeoutMs,
      attempts,
      clock,
    }),
    logger: keepingLogger().logger,
    clock,
  });
  await proxy.listen();
  tokens.start();
  return {
    address,
    close: async () => {
      tokens.stop();
      workspace.stop();
      await proxy.close();
    },
  };
}

/**
 * Proxies and clients of one test file, all ended after each test. Emulators
 * must be asked for later, since they wait for that.
 */
export function proxyTests() {
  const proxies: TestProxy[] = [];
  const clients: Client[] = [];
  const sockets: Socket[] = [];
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'proxy-'));
  });

  afterEach(async () => {
    sockets.splice(0).forEach(socket => socket.destroy());
    await Promise.all(clients.splice(0).map(client => client.end()));
    await Promise.all(proxies.splice(0).map(proxy => proxy.close()));
    await rm(folder, { recursive: true });
  });

  return {
    /** Where the socket lies unless told otherwise. */
    directory: () => path.join(folder, 'socket'),

    async proxy(emulator: Emulator, options: Partial<TestProxyOptions> = {}) {
      const directory = path.join(folder, 'socket');
      const proxy = await startProxy(emulator, { directory, ...options });
      proxies.push(proxy);
      return proxy;
    },

    /** As plugins connect: with a host and port, and without a password. */
    async client(
      { address }: TestProxy,
      config: ClientConfig = {},
      watch: (client: Client) => void = () => {},
    ): Promise<Client> {
      const client = new Client({
        host: address.directory,
        port: address.port,
        user: 'anybody',
        database: 'databricks_postgres',
        ...config,
      });
      client.on('error', () => {});
      watch(client);
      await client.connect();
      clients.push(client);
      return client;
    },

    /** For what no Postgres client says. */
    async socket({ address }: TestProxy): Promise<Socket> {
      const socket = connect(socketPath(address));
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    },
  };
}

/** Resolves when a session of the service principal waits for this. */
export async function backendWaits(
  emulator: Emulator,
  event: string,
): Promise<void> {
  const found = await emulator.query(
    `select from pg_stat_activity
      where usename = $1 and wait_event = $2`,
    [emulator.servicePrincipal.clientId, event],
  );
  if (found.length === 0) await backendWaits(emulator, event);
}
