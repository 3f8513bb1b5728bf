import { fork } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Emulator } from '../../emulator';
import { FakeClock } from '../../testbed/fakeClock';
import { lakebaseTests } from '../support/lakebase';
import { liveThrough } from '../support/liveThrough';
import type { MintReply, MintRequest } from '../support/mintInChild';
import { startOutboundProxy } from '../support/outboundProxy';
import { passedOn } from '../support/passedOn';
import { SECOND } from '../../testbed/durations';
import { ScriptedServer } from '../support/scriptedServer';

const start = lakebaseTests();
const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(stops.splice(0).map(stop => stop()));
});

/** The settings of a portal that calls the workspace at this address. */
const createWorkspaceAt = (host: string) => ({
  pluginDivisionMode: 'schema',
  lakebase: { workspace: { host } },
});

const portOf = ({ controlPlane }: Emulator) => new URL(controlPlane.url).port;

describe('the name of the workspace does not resolve for a moment', () => {
  it('and the plugin starts all the same', async () => {
    const emulator = await start.emulator();
    const clock = new FakeClock();
    const failing = Object.assign(new Error('failed'), { code: 'EAI_AGAIN' });
    const lookup = jest.spyOn(dns, 'lookup');
    for (let time = 0; time < 3; time++) {
      lookup.mockImplementationOnce((...args: unknown[]) => {
        (args.at(-1) as (error: Error) => void)(failing);
      });
    }
    const settings = createWorkspaceAt(`http://localhost:${portOf(emulator)}`);
    const lakebase = start.lakebase(emulator, settings, { clock });

    const client = lakebase.getClient('catalog');
    await liveThrough(emulator, clock, 20 * SECOND);

    await expect((await client).raw('select 1')).resolves.toBeDefined();
    expect(lookup.mock.calls.length).toBeGreaterThan(3);
    expect(emulator.controlPlane.count('credentials')).toBe(1);
  });
});

describe('the workspace redirects', () => {
  it.each([
    ['token', 307],
    ['credentials', 308],
  ] as const)(
    'calls of %s with HTTP %i, and the place it names hears nothing',
    async (route, status) => {
      const emulator = await start.emulator();
      const elsewhere = await ScriptedServer.start();
      stops.push(() => elsewhere.stop());
      const headers = { Location: `${elsewhere.url}/login.html` };
      emulator.controlPlane.answer(route, { status, headers, body: '' });
      const lakebase = start.lakebase(emulator, {
        pluginDivisionMode: 'schema',
      });

      const failure = lakebase.getClient('catalog');

      await expect(failure).rejects.toMatchObject({
        code: 'workspace-redirected',
      });
      await expect(failure).rejects.toThrow(/workspace\.host/);
      expect(elsewhere.connections).toBe(0);
    },
  );
});

describe('the workspace compresses its replies', () => {
  it('and is understood', async () => {
    const emulator = await start.emulator();
    const server = await ScriptedServer.start();
    stops.push(() => server.stop());
    server.token = passedOn(emulator, { gzip: true });
    server.api = server.token;
    const lakebase = start.lakebase(emulator, createWorkspaceAt(server.url));

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(server.requests[0].headers['accept-encoding']).toContain('gzip');
  });
});

const hasIpv6 = Object.values(networkInterfaces()).some(addresses =>
  addresses?.some(({ address }) => address === '::1'),
);

(hasIpv6 ? describe : describe.skip)(
  'the workspace is reachable over IPv6 only',
  () => {
    it.each([
      ['by its address', '[::1]'],
      ['by its name', 'localhost'],
    ])('and is called there %s', async (_, hostname) => {
      const emulator = await start.emulator();
      const port = await listenOnIpv6(Number(portOf(emulator)));
      resolveAllTo('::1');
      const settings = createWorkspaceAt(`http://${hostname}:${port}`);
      const lakebase = start.lakebase(emulator, settings);

      const knex = await lakebase.getClient('catalog');

      await expect(knex.raw('select 1')).resolves.toBeDefined();
    });
  },
);

describe('the way out leads through a proxy', () => {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const knowsProxies =
    (major === 22 && minor >= 21) || (major === 24 && minor >= 5) || major > 24;

  it(`which ${knowsProxies ? 'NODE_USE_ENV_PROXY makes Node use' : 'this version of Node does not know, and calls the workspace itself'}`, async () => {
    const emulator = await start.emulator();
    const proxy = await startOutboundProxy();
    stops.push(() => proxy.stop());

    const { outcome } = await mintWith(emulator, {
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: proxy.url,
      NO_PROXY: '',
    });

    expect(outcome).toEqual({ lifeMs: expect.any(Number) as number });
    const workspace = new URL(emulator.controlPlane.url).host;
    expect(new Set(proxy.destinations)).toEqual(
      new Set(knowsProxies ? [workspace] : []),
    );
  });
});

/** Whatever a name meant before, it has this one address now. */
function resolveAllTo(address: string): void {
  jest.spyOn(dns, 'lookup').mockImplementation((...args: unknown[]) => {
    const tell = args.at(-1) as (...result: unknown[]) => void;
    const { all } = args[1] as dns.LookupOptions;
    if (all) tell(null, [{ address, family: 6 }]);
    else tell(null, address, 6);
  });
}

/** A port of ::1, and of it alone, that leads to this one. */
async function listenOnIpv6(port: number): Promise<number> {
  const server: Server = createServer(socket => {
    const target = connect(port, '127.0.0.1');
    socket.on('error', () => target.destroy());
    target.on('error', () => socket.destroy());
    socket.pipe(target).pipe(socket);
  });
  server.listen({ port: 0, host: '::1', ipv6Only: true });
  await once(server, 'listening');
  // Its connections end with the emulator that they lead to.
  stops.push(() => new Promise(resolve => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

/** A mint in a process of its own: Node reads these at its start. */
async function mintWith(
  { controlPlane, servicePrincipal }: Emulator,
  env: Record<string, string>,
): Promise<MintReply> {
  const child = fork(join(__dirname, '..', 'support', 'mintingProcess.ts'), {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, ...env },
  });
  const exit = once(child, 'exit');
  const request: MintRequest = {
    host: controlPlane.url,
    client: servicePrincipal,
  };
  child.send(request);
  const [reply] = (await once(child, 'message')) as [MintReply];
  await exit;
  return reply;
}
