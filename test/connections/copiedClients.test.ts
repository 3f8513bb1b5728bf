import knexFactory, { type Knex } from 'knex';
import { cloneDeep } from 'lodash';
import { FakeClock, passTime } from '../../testbed/fakeClock';
import { HOUR } from '../../testbed/durations';
import { lakebaseTests, type TestLakebase } from '../support/lakebase';

const start = lakebaseTests();

interface Insides {
  config: Knex.Config;
  connectionSettings: Knex.PgConnectionConfig;
}

const insides = (knex: Knex) => knex.client as Insides;

/** How plugins, and libraries that they use, make a client of their own. */
const WAYS: [string, (knex: Knex) => Knex][] = [
  ['its configuration', knex => knexFactory(insides(knex).config)],
  [
    'a copy of its configuration',
    knex => knexFactory({ ...cloneDeep(insides(knex).config), pool: {} }),
  ],
  [
    'its connection',
    knex =>
      knexFactory({
        client: 'pg',
        connection: insides(knex).config.connection,
      }),
  ],
  [
    'a spread of its connection settings',
    knex =>
      knexFactory({
        client: 'pg',
        connection: { ...insides(knex).connectionSettings },
      }),
  ],
];

describe.each(WAYS)('a client made from %s', (_, make) => {
  let lakebase: TestLakebase;

  async function startBeside() {
    const emulator = await start.emulator();
    const clock = new FakeClock();
    lakebase = start.lakebase(
      emulator,
      { pluginDivisionMode: 'schema' },
      { clock },
    );
    const own = make(await lakebase.getClient('catalog'));
    return { emulator, clock, own };
  }

  it('logs in, with whatever credential is the current one', async () => {
    const { emulator, clock, own } = await startBeside();
    await own.raw('select 1');
    const minted = emulator.controlPlane.once('credentials');
    await passTime(emulator, clock, HOUR);
    await minted;

    await Promise.all([own.raw('select pg_sleep(0.01)'), own.raw('select 2')]);
    await own.destroy();

    expect(emulator.gateway.refusals).toEqual([]);
    const used = emulator.gateway.logins.map(({ tokenId }) => tokenId);
    expect(new Set(used).size).toBe(2);
  });
});

describe('a client with parameters of the user', () => {
  it('shares the pool, in transactions too, and cancels', async () => {
    const emulator = await start.emulator();
    const beside = start.lakebase(emulator, { pluginDivisionMode: 'schema' });
    const knex = (await beside.getClient('catalog')).withUserParams({ a: 1 });

    await knex.transaction(tx => tx.raw('select 1'));
    const slow = knex.raw('select pg_sleep(20)').timeout(100, { cancel: true });

    await expect(slow).rejects.toMatchObject({ name: 'KnexTimeoutError' });
    expect(emulator.gateway.refusals).toEqual([]);
  });
});

describe('a cancel in a transaction', () => {
  it.each([false, true])('logs in (with parameters: %s)', async params => {
    const emulator = await start.emulator();
    const beside = start.lakebase(emulator, { pluginDivisionMode: 'schema' });
    const stock = await beside.getClient('catalog');
    const knex = params ? stock.withUserParams({ a: 1 }) : stock;

    const slow = knex.transaction(tx =>
      tx.raw('select pg_sleep(20)').timeout(100, { cancel: true }),
    );

    await expect(slow).rejects.toMatchObject({ name: 'KnexTimeoutError' });
    expect(emulator.gateway.refusals).toEqual([]);
  });
});
