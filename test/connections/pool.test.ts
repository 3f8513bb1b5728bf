import { once } from 'node:events';
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
    const emulator = await start.emulator({ credentialLifeMs: 2_000 });
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      knexConfig: {
        pool: { idleTimeoutMillis: 4_000, reapIntervalMillis: 50 },
      },
      lakebase: { maxConnectionAge: { seconds: 1 } },
    });
    const knex = await lakebase.getClient('catalog');
    const before = emulator.gateway.logins.length;
    emulator.controlPlane.answer('credentials', { status: 503 });
    // By its third failure the credential has lived its 2 seconds.
    const failures = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await emulator.controlPlane.once('credentials');
      }
    };
    await failures(5);

    await knex.raw('select 1');

    expect(emulator.gateway.logins).toHaveLength(before);
    emulator.controlPlane.recover();
  });

  it('replaces a connection past maxConnectionAge when it is next used', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { maxConnectionAge: { seconds: 1 } },
    });
    const knex = await lakebase.getClient('catalog');

    await knex.raw('select pg_sleep(1.1)');
    await knex.raw('select 1');

    expect(emulator.gateway.logins).toHaveLength(2);
    expect(emulator.controlPlane.count('credentials')).toBe(1);
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
    const lakebase = start.lakebase(emulator, schemaMode);

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.controlPlane.count('credentials')).toBe(4);
  });
});
