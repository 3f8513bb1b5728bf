import type { Knex } from 'knex';
import { DirectTls } from '../../src/connections/directTls';
import { HOUR, SECOND } from '../../testbed/durations';
import { FakeClock, settle } from '../../testbed/fakeClock';
import { knowsDirectTls } from '../support/directTls';
import { networkTests, useAtOnce } from '../support/faultyNetwork';
import { lakebaseTests } from '../support/lakebase';

const startNetwork = networkTests();
const start = lakebaseTests();

type Mode = 'withoutAlpn' | 'closed' | 'reset' | 'silent' | 'answered';
const REFUSING: Mode[] = ['withoutAlpn', 'closed', 'reset', 'answered'];

async function startBehind(mode: 'taken' | Mode, overrides = {}) {
  const emulator = await start.emulator();
  const { gateway } = emulator;
  gateway.directTls = mode;
  const network = await startNetwork(gateway);
  const seen = { direct: 0, passwords: 0 };
  gateway.on('directTls', () => (seen.direct += 1));
  gateway.on('attempt', () => (seen.passwords += 1));
  const clock = new FakeClock();
  const lakebase = start.lakebase(
    emulator,
    {
      pluginDivisionMode: 'schema',
      connection: { port: network.port },
      ...overrides,
    },
    { clock },
  );
  return { gateway, network, seen, clock, lakebase };
}

/** Lets the pool open as many connections in addition. */
async function openMore(knex: Knex, count: number) {
  await useAtOnce(knex, count + 1);
}

const describeWithPg = knowsDirectTls ? describe : describe.skip;

describeWithPg('an endpoint that takes TLS at once', () => {
  it('is asked for nothing before TLS', async () => {
    const { network, seen, lakebase } = await startBehind('taken');

    await openMore(await lakebase.getClient('catalog'), 2);

    expect(network.dialled).toBe(3);
    expect(seen).toEqual({ direct: 3, passwords: 3 });
  });

  it('is verified as ever', async () => {
    const { gateway, seen, lakebase } = await startBehind('taken');
    gateway.tls = 'untrusted';

    await expect(lakebase.getClient('catalog')).rejects.toMatchObject({
      code: 'database-untrusted',
    });
    expect(seen).toEqual({ direct: 1, passwords: 0 });
  });

  it.each(REFUSING)('may stop to do so (%s)', async mode => {
    const { gateway, network, seen, lakebase } = await startBehind('taken');
    const knex = await lakebase.getClient('catalog');
    gateway.directTls = mode;

    await openMore(knex, 1);
    await openMore(knex, 2);

    expect(network.dialled).toBe(1 + 2 + 1);
    expect(seen.direct).toBe(2);
  });

  it('is not tried where the way is configured', async () => {
    const emulator = await start.emulator();
    let direct = 0;
    emulator.gateway.on('directTls', () => (direct += 1));
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      connection: { sslnegotiation: 'postgres' },
    });

    await lakebase.getClient('catalog');

    expect(direct).toBe(0);
  });
});

describeWithPg.each(REFUSING)(
  'an endpoint that does not take it (%s)',
  mode => {
    it('costs the first connection a second socket, and the others nothing', async () => {
      const { network, seen, lakebase } = await startBehind(mode);

      const knex = await lakebase.getClient('catalog');
      expect(network.dialled).toBe(2);
      await openMore(knex, 3);

      expect(network.dialled).toBe(5);
      expect(seen).toEqual({ direct: 1, passwords: 4 });
    });

    it('is asked again after an hour', async () => {
      const { gateway, seen, clock, lakebase } = await startBehind(mode, {
        lakebase: { maxConnectionAge: { hours: 20 } },
      });
      const knex = await lakebase.getClient('catalog');
      gateway.directTls = 'taken';

      clock.block(HOUR - SECOND);
      await openMore(knex, 1);
      expect(seen.direct).toBe(1);
      clock.block(SECOND);
      await openMore(knex, 2);

      expect(seen.direct).toBe(2);
    });
  },
);

describeWithPg('an endpoint that keeps silent', () => {
  it('costs the first connection a second, and whoever comes meanwhile nothing', async () => {
    const { seen, clock, lakebase } = await startBehind('silent');
    const first = lakebase.getClient('catalog');
    while (seen.direct === 0) await settle();

    await lakebase.getClient('search');
    await clock.advance(SECOND);

    await expect(first).resolves.toBeDefined();
    expect(seen).toEqual({ direct: 1, passwords: 2 });
  });
});

describe('an endpoint that cannot be reached', () => {
  const place = { host: 'h', port: 1 };

  it('has refused nothing, and is tried again', () => {
    const directTls = new DirectTls(new FakeClock());

    expect(directTls.begin(place)!.failed(new Error())).toBe(false);

    expect(directTls.begin(place)).toBeDefined();
  });

  it('is another one at another port', () => {
    const directTls = new DirectTls(new FakeClock());
    const trial = directTls.begin(place)!;
    trial.connected(() => {});

    expect(trial.failed(new Error())).toBe(true);

    expect(directTls.begin(place)).toBeUndefined();
    expect(directTls.begin({ ...place, port: 2 })).toBeDefined();
  });
});
