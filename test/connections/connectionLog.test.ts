import { once } from 'node:events';
import type { JsonObject } from '@backstage/types';
import { FakeClock } from '../../testbed/fakeClock';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();

/** Tries again without a pause, on a clock of its own. */
async function startLakebase(settings: JsonObject = {}) {
  const emulator = await start.emulator();
  const clock = new FakeClock();
  clock.skipsPauses = true;
  const schemaMode = { pluginDivisionMode: 'schema' };
  const lakebase = start.lakebase(
    emulator,
    { ...schemaMode, ...settings },
    { clock },
  );
  const linesOf = (level: string) =>
    lakebase.lines
      .filter(line => line.level === level && /connections/.test(line.message))
      .map(({ message }) => message);
  return { emulator, lakebase, linesOf };
}

const RETRIED =
  /^New connections to Lakebase fail and are retried, for \d+ s more \(backend\.database\.lakebase\.connectTimeout\)\. .* could not be reached \(ECONNREFUSED\)\. Check that this host may open connections to port \d+/;

describe('an endpoint that takes no connections', () => {
  it('is logged once while it is waited for, by whatever many plugins', async () => {
    const { lakebase, linesOf } = await startLakebase({
      connection: { port: 1 },
    });

    const clients = ['catalog', 'search'].map(id => lakebase.getClient(id));
    await Promise.allSettled(clients);

    expect(linesOf('warn')).toEqual([expect.stringMatching(RETRIED)]);
  });

  it('is logged once more when it takes them again', async () => {
    const { emulator, lakebase, linesOf } = await startLakebase();
    const { compute } = emulator.gateway;
    compute.suspend({ wakeDelayMs: 60_000, while: 'refuse' });
    const client = lakebase.getClient('catalog');
    await lakebase.logged(/fail and are retried/);

    compute.suspend({ wakeDelayMs: 0, while: 'refuse' });
    await client;

    expect(linesOf('warn')).toHaveLength(1);
    expect(linesOf('info')).toEqual(['New connections to Lakebase work again']);
  });

  it('is not worth a line when it only takes a moment', async () => {
    const { emulator, lakebase, linesOf } = await startLakebase();
    emulator.gateway.refuseNext('startingUp', { times: 1 });

    await lakebase.getClient('catalog');

    expect(emulator.gateway.refusals).toHaveLength(1);
    expect(linesOf('warn')).toEqual([]);
  });
});

it('what cannot pass by itself is not waited for, and not logged so', async () => {
  const { emulator, lakebase, linesOf } = await startLakebase();
  emulator.gateway.refuseNext('missingRole', { times: Infinity });

  const refused = once(emulator.gateway, 'refusal');
  await expect(lakebase.getClient('catalog')).rejects.toThrow();
  await refused;

  expect(linesOf('warn')).toEqual([]);
});
