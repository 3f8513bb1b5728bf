import { once } from 'node:events';
import type { Knex } from 'knex';
import { Client } from 'pg';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

interface RawClient {
  acquireRawConnection(): Promise<Client>;
  destroyRawConnection(connection: Client): Promise<void>;
  connectionSettings: object;
}
const rawClient = (knex: Knex) => knex.client as RawClient;

describe('a connection outside the pool', () => {
  it('logs in with the credential of the moment and hears NOTIFY', async () => {
    const emulator = await start.emulator({ credentialLifeMs: 4_000 });
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('events');
    await emulator.controlPlane.once('credentials');

    const connection = await rawClient(knex).acquireRawConnection();
    expect(connection).toBeInstanceOf(Client);
    await connection.query('listen event_bus_publish');
    const heard = once(connection, 'notification');
    // It goes on across a rotation.
    await emulator.controlPlane.once('credentials');
    await knex.raw(`select pg_notify('event_bus_publish', 'topic')`);

    expect(await heard).toMatchObject([{ payload: 'topic' }]);
    await rawClient(knex).destroyRawConnection(connection);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('cancels a query that takes too long', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');

    await expect(
      knex.raw('select pg_sleep(20)').timeout(200, { cancel: true }),
    ).rejects.toThrow(/timeout/);

    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });

  it('cancels one within a transaction, after a rotation too', async () => {
    const emulator = await start.emulator({ credentialLifeMs: 2_000 });
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');

    await expect(
      knex.transaction(async tx => {
        await emulator.controlPlane.once('credentials');
        await emulator.controlPlane.once('credentials');
        await emulator.controlPlane.once('credentials');
        await tx.raw('select pg_sleep(20)').timeout(200, { cancel: true });
      }),
    ).rejects.toThrow(/timeout/);

    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('finds the credential in settings that keep their identity', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');
    const { connectionSettings } = rawClient(knex);

    await knex.raw('select 1');

    expect(rawClient(knex).connectionSettings).toBe(connectionSettings);
    const { password } = connectionSettings as {
      password: () => Promise<string>;
    };
    await expect(password()).resolves.toMatch(/^eyJ/);
  });
});
