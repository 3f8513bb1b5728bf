import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import type { Knex } from 'knex';
import type { Client } from 'pg';
import { FakeClock, passTime } from '../../testbed/fakeClock';
import { killSessions, lakebaseTests } from '../support/lakebase';
import { MINUTE } from '../../testbed/durations';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

interface RawKnex {
  client: { acquireRawConnection(): Promise<Client> };
}

const certificateOf = (connection: Client) =>
  (
    connection as unknown as { connection: { stream: TLSSocket } }
  ).connection.stream.getPeerCertificate().fingerprint256;

describe('the endpoint renews its certificate', () => {
  it('open connections go on, and new ones take the new certificate', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const { client } = (await lakebase.getClient('events')) as RawKnex;
    const before = await client.acquireRawConnection();

    emulator.gateway.tls = 'renewed';
    const after = await client.acquireRawConnection();

    expect(certificateOf(after)).not.toBe(certificateOf(before));
    await Promise.all([before.query('select 1'), after.query('select 1')]);
    await Promise.all([before.end(), after.end()]);
  });
});

describe.each(['untrusted', 'wrongName', 'expired', 'off'] as const)(
  'the endpoint shows up with TLS that is %s',
  tls => {
    it('gets no credential, and is used again once that is cured', async () => {
      const emulator = await start.emulator();
      const lakebase = start.lakebase(emulator, schemaMode);
      const knex = await lakebase.getClient('catalog');
      const passwords = jest.fn();
      emulator.gateway.on('attempt', passwords);
      emulator.gateway.tls = tls;
      const transaction = await knex.transaction();

      await expect(knex.raw('select 1')).rejects.toMatchObject({
        code: 'database-untrusted',
        message: expect.stringMatching(/connection\.ssl\.ca/) as string,
      });

      await expect(transaction.raw('select 1')).resolves.toBeDefined();
      expect(passwords).not.toHaveBeenCalled();
      emulator.gateway.tls = 'valid';
      await expect(knex.raw('select 1')).resolves.toBeDefined();
      await transaction.rollback();
    });
  },
);

describe('the workspace is down while 15 plugins ask for their databases', () => {
  it('no connection is opened before there is a credential, and one for each then', async () => {
    const emulator = await start.emulator();
    const { controlPlane, gateway } = emulator;
    controlPlane.answer('credentials', { status: 503 }, { times: 3 });
    const dialled = jest.fn();
    gateway.on('connection', dialled);
    const lakebase = start.lakebase(emulator, schemaMode);

    const pools = Promise.all(
      Array.from({ length: 15 }, (_, i) => lakebase.getClient(`plugin${i}`)),
    );
    for (let failure = 0; failure < 3; failure++) {
      await controlPlane.once('credentials');
    }
    const dialledInVain = dialled.mock.calls.length;
    await pools;

    expect(dialledInVain).toBe(0);
    expect(dialled).toHaveBeenCalledTimes(15);
    expect(gateway.logins).toHaveLength(15);
  });
});

describe('all connections are killed at once', () => {
  it('each new one has the role and the search path of its plugin', async () => {
    const emulator = await start.emulator();
    const { clientId } = emulator.servicePrincipal;
    await emulator.createRole('owner');
    await emulator.query(`grant owner to "${clientId}"`);
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      role: 'owner',
    });
    const knex = await lakebase.getClient('catalog');
    await killSessions(emulator, knex);
    const transactions = await Promise.all(
      Array.from({ length: 5 }, () => knex.transaction()),
    );
    const places = await Promise.all(transactions.map(placeOf));
    await Promise.all(transactions.map(each => each.rollback()));

    expect(places).toEqual(
      Array.from({ length: 5 }, () => ({ schema: 'catalog', role: 'owner' })),
    );
    expect(emulator.gateway.logins).toHaveLength(6);
  });
});

async function placeOf(knex: Knex) {
  const { rows } = await knex.raw<{ rows: unknown[] }>(
    'select current_schema as schema, current_user as role',
  );
  return rows[0];
}

describe('the connection that listens for events is lost', () => {
  it('a new one logs in after an hour and hears what is notified', async () => {
    const clock = new FakeClock();
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode, { clock });
    const knex = await lakebase.getClient('events');
    const { client } = knex as RawKnex;
    const [{ tokenId }] = emulator.gateway.logins;
    const lost = await client.acquireRawConnection();
    await lost.query('listen topics');

    const ended = new Promise(resolve => lost.once('end', resolve));
    await emulator.gateway.dropConnections();
    await ended;
    const minted = emulator.controlPlane.once('credentials');
    await passTime(emulator, clock, 30 * MINUTE);
    await minted;
    await passTime(emulator, clock, 35 * MINUTE);
    const listening = await client.acquireRawConnection();
    await listening.query('listen topics');
    const heard = once(listening, 'notification');
    await knex.raw(`select pg_notify('topics', 'entity')`);

    expect(await heard).toMatchObject([{ payload: 'entity' }]);
    await listening.end();
    expect(emulator.gateway.logins.at(-1)!.tokenId).not.toBe(tokenId);
    expect(emulator.gateway.refusals).toEqual([]);
  });
});
