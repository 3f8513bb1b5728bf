import { once } from 'node:events';
import type { Client } from 'pg';
import { ConnectionBudget } from '../../src/connections/connectionBudget';
import { encodeCancel } from '../../src/localProxy/wire';
import {
  backendWaits,
  proxyTests,
  type TestProxy,
} from '../support/localProxy';
import { lakebaseTests } from '../support/lakebase';

const local = proxyTests();
const start = lakebaseTests();

interface ParameterStatus {
  parameterName: string;
  parameterValue: string;
}

const valueOf = async (client: Client, sql: string): Promise<unknown> => {
  const query = { text: sql, rowMode: 'array' as const };
  const { rows } = await client.query<unknown[]>(query);
  return rows[0][0];
};

describe('a session through the local proxy', () => {
  it('logs in as the service principal, whatever user its client names', async () => {
    const emulator = await start.emulator();
    const client = await local.client(await local.proxy(emulator));

    await expect(valueOf(client, 'select session_user')).resolves.toBe(
      emulator.servicePrincipal.clientId,
    );
  });

  it('has the database and settings that its client asks for', async () => {
    const emulator = await start.emulator();
    await emulator.query('create database other');
    const client = await local.client(await local.proxy(emulator), {
      database: 'other',
      application_name: 'rbac',
      options: '-c work_mem=7MB',
      statement_timeout: 5_000,
    });

    await expect(
      client.query(
        `select current_database() as database,
                current_setting('application_name') as name,
                current_setting('work_mem') as memory,
                current_setting('statement_timeout') as timeout`,
      ),
    ).resolves.toMatchObject({
      rows: [{ database: 'other', name: 'rbac', memory: '7MB', timeout: '5s' }],
    });
    await client.end();
    await emulator.gateway.drained();
    await emulator.query('drop database other');
  });

  it('finds the database that others are created from behind `postgres`', async () => {
    const emulator = await start.emulator();
    const client = await local.client(await local.proxy(emulator), {
      database: 'postgres',
    });

    await expect(valueOf(client, 'select current_database()')).resolves.toBe(
      'databricks_postgres',
    );
  });

  it('counts towards maxConnections until it ends', async () => {
    const emulator = await start.emulator();
    const budget = new ConnectionBudget(1);
    const proxy = await local.proxy(emulator, {
      budget,
      connectTimeoutMs: 1_000,
    });
    const client = await local.client(proxy);

    await expect(local.client(proxy)).rejects.toThrow(/local proxy 1/);
    await client.end();

    await expect(local.client(proxy)).resolves.toBeDefined();
  });

  it('acts as the shared owner', async () => {
    const emulator = await start.emulator();
    await emulator.createRole('backstage_owner');
    await emulator.query(
      `grant backstage_owner to "${emulator.servicePrincipal.clientId}"`,
    );
    const proxy = await local.proxy(emulator, { role: 'backstage_owner' });

    const client = await local.client(proxy);

    await expect(valueOf(client, 'select current_user')).resolves.toBe(
      'backstage_owner',
    );
  });

  it('tells its client what the server says at a login', async () => {
    const emulator = await start.emulator();
    const status: Record<string, string> = {};
    const client = await local.client(
      await local.proxy(emulator),
      { application_name: 'named' },
      ({ connection }) =>
        connection.on('parameterStatus', (said: ParameterStatus) => {
          status[said.parameterName] = said.parameterValue;
        }),
    );

    expect(status).toMatchObject({
      application_name: 'named',
      client_encoding: 'UTF8',
      server_version: await valueOf(client, 'show server_version'),
    });
    const { processID } = client as Client & { processID: number };
    await expect(valueOf(client, 'select pg_backend_pid()')).resolves.toBe(
      processID,
    );
  });

  it('passes on what the server says unasked', async () => {
    const emulator = await start.emulator();
    const client = await local.client(await local.proxy(emulator));
    await client.query('listen news');
    const heard = once(client, 'notification');

    await emulator.query(`notify news, 'told'`);

    expect(await heard).toMatchObject([{ payload: 'told' }]);
  });

  it('carries a large result whole', async () => {
    const emulator = await start.emulator();
    const client = await local.client(await local.proxy(emulator));

    const { rows } = await client.query<{ text: string }>(
      `select repeat(n::text, 1000) as text from generate_series(1, 5000) n`,
    );

    const expected = Array.from({ length: 5_000 }, (_, index) =>
      `${index + 1}`.repeat(1_000),
    );
    expect(rows.map(({ text }) => text)).toEqual(expected);
  });

  it('is the one whose query is cancelled', async () => {
    const emulator = await start.emulator();
    const proxy = await local.proxy(emulator);
    const [client, other] = [
      await local.client(proxy),
      await local.client(proxy),
    ];
    const query = client.query('select pg_sleep(20)');
    const cancelled = expect(query).rejects.toMatchObject({ code: '57014' });
    const untouched = other.query('select pg_sleep(1)');
    await backendWaits(emulator, 'PgSleep');

    await cancel(proxy, keyOf(client));

    await cancelled;
    await expect(untouched).resolves.toBeDefined();
    await expect(valueOf(client, 'select 1')).resolves.toBe(1);
  });

  it('is not asked to cancel anything by a stranger', async () => {
    const emulator = await start.emulator();
    const proxy = await local.proxy(emulator);
    await local.client(proxy);
    const before = emulator.gateway.openConnections;
    let connections = 0;
    emulator.gateway.on('close', () => (connections += 1));

    await cancel(proxy, Buffer.alloc(8, 7));

    expect(emulator.gateway.openConnections).toBe(before);
    expect(connections).toBe(0);
  });
});

describe('a rotation of credentials', () => {
  it('does not touch open sessions, and later ones use later credentials', async () => {
    const emulator = await start.emulator({ credentialLifeMs: 2_000 });
    const proxy = await local.proxy(emulator);
    const early = await local.client(proxy);
    await early.query('begin');

    await emulator.controlPlane.once('credentials');
    await emulator.controlPlane.once('credentials');
    const late = await local.client(proxy);

    await expect(valueOf(early, 'select 1')).resolves.toBe(1);
    await expect(valueOf(late, 'select 2')).resolves.toBe(2);
    const [first, last] = emulator.gateway.logins;
    expect(last.tokenId).not.toBe(first.tokenId);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('is brought forward when the server refuses a credential that used to work', async () => {
    const emulator = await start.emulator();
    const proxy = await local.proxy(emulator);
    await local.client(proxy);
    emulator.gateway.revokeTokens();

    const client = await local.client(proxy);

    await expect(valueOf(client, 'select 1')).resolves.toBe(1);
    expect(emulator.controlPlane.count('credentials')).toBe(2);
  });
});

function keyOf(client: Client): Buffer {
  const { processID, secretKey } = client as Client & Record<string, number>;
  const key = Buffer.alloc(8);
  key.writeInt32BE(processID, 0);
  key.writeInt32BE(secretKey, 4);
  return key;
}

/** Resolves when the proxy has closed the connection, as a server does. */
async function cancel(proxy: TestProxy, key: Buffer): Promise<void> {
  const socket = await local.socket(proxy);
  const closed = once(socket, 'close');
  socket.resume().write(encodeCancel(key));
  await closed;
}
