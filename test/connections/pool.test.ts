import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { MINUTE, SECOND } from '../../testbed/durations';
import { FakeClock } from '../../testbed/fakeClock';
import { liveThrough } from '../support/liveThrough';
import {
  killSessions,
  lakebaseTests,
  queryInParallel,
} from '../support/lakebase';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

describe('a pool', () => {
  it('lets all connections go when idle, without a query of ours', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      knexConfig: { pool: { idleTimeoutMillis: 100, reapIntervalMillis: 50 } },
    });
    const knex = await lakebase.getClient('catalog');
    await queryInParallel(knex, 3);

    await emulator.gateway.drained();

    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });

  it('keeps idle connections while no credential could open new ones', async () => {
    const emulator = await start.emulator();
    const clock = new FakeClock();
    const pool = { idleTimeoutMillis: 50, reapIntervalMillis: 10 };
    const settings = { ...schemaMode, knexConfig: { pool } };
    const lakebase = start.lakebase(emulator, settings, { clock });
    const knex = await lakebase.getClient('catalog');
    emulator.controlPlane.answer('credentials', { status: 503 });
    const transaction = await knex.transaction();
    await liveThrough(emulator, clock, 65 * MINUTE);
    const before = emulator.gateway.logins.length;
    await transaction.commit();
    // Knex looks for idle connections by the system's clock, and tells nobody.
    await setTimeout(200);

    await knex.raw('select 1');

    expect(emulator.gateway.logins).toHaveLength(before);
    emulator.controlPlane.recover();
  });

  it('replaces a connection past maxConnectionAge when it is next used', async () => {
    const emulator = await start.emulator();
    const clock = new FakeClock();
    const lakebase = start.lakebase(emulator, schemaMode, { clock });
    const knex = await lakebase.getClient('catalog');

    // The default is 45 min, less up to a tenth.
    await liveThrough(emulator, clock, 40 * MINUTE);
    await knex.raw('select 1');
    expect(emulator.gateway.logins).toHaveLength(1);
    await liveThrough(emulator, clock, 5 * MINUTE);
    await knex.raw('select 1');

    expect(emulator.gateway.logins).toHaveLength(2);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('answers the next query after all its connections were killed', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');
    await queryInParallel(knex, 5);

    await killSessions(emulator, knex);

    await queryInParallel(knex, 5);
  });

  it('answers the query after one that was cut off', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');
    const cutOff = knex.raw('select pg_sleep(20)').then();
    await once(knex, 'start');
    // The query is on its way once the server answers one that came after it.
    await knex.raw('select 1');

    void emulator.gateway.dropConnections();

    await expect(cutOff).rejects.toMatchObject({ code: '57P01' });
    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });

  it('waits for a credential through an outage and then goes on', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', { status: 503 }, { times: 3 });
    const clock = new FakeClock();
    const lakebase = start.lakebase(emulator, schemaMode, { clock });

    const client = lakebase.getClient('catalog');
    await liveThrough(emulator, clock, 20 * SECOND);
    const knex = await client;

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.controlPlane.count('credentials')).toBe(4);
  });
});
