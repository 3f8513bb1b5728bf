import { once } from 'node:events';
import { lakebaseTests } from '../support/lakebase';
import { fakeOnly } from '../support/workspaces';

const start = lakebaseTests();

afterEach(() => jest.useRealTimers());

describe('the portal is shut down during a query without an end', () => {
  it('its connection is cut when the 10 s that it gets are over', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, { pluginDivisionMode: 'schema' });
    const knex = await lakebase.getClient('catalog');
    const endless = knex.raw('select pg_sleep(1000)').then();
    const failed = expect(endless).rejects.toThrow(/terminated|reset/);
    await once(knex, 'start');
    await new Promise(resolve => setImmediate(resolve));

    fakeOnly('timeouts');
    const stopped = lakebase.stop();
    await jest.advanceTimersByTimeAsync(10_000);
    jest.useRealTimers();
    await stopped;

    await failed;
    await emulator.gateway.drained();
  });
});
