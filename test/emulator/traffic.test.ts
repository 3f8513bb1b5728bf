import { once } from 'node:events';
import { connect } from 'node:net';
import type { Client, Connection, Submittable } from 'pg';
import type { Emulator } from '../../emulator';
import { startTestEmulator } from '../support/emulator';
import { closeClients, currentUser, logIn, mint } from './clients';

describe('traffic through the emulated gateway', () => {
  let emulator: Emulator;

  beforeAll(async () => {
    emulator = await startTestEmulator();
  });
  afterEach(() => closeClients(emulator));
  afterAll(() => emulator.stop());

  it('carries large results and large parameters unharmed', async () => {
    const client = await logIn(emulator);
    const { rows } = await client.query<{ n: number; pad: string }>(
      `SELECT n, repeat(n::text, 200) AS pad FROM generate_series(1, 20000) n`,
    );
    expect(rows).toHaveLength(20_000);
    expect(rows.every(({ n, pad }) => pad === String(n).repeat(200))).toBe(
      true,
    );

    const large = 'ä'.repeat(2_000_000);
    const echo = await client.query<{ text: string }>(
      'SELECT $1::text AS text',
      [large],
    );
    expect(echo.rows[0].text === large).toBe(true);
  });

  it('carries COPY', async () => {
    const client = await logIn(emulator);
    await client.query('CREATE TEMPORARY TABLE copied (line text)');
    const lines = Array.from({ length: 50_000 }, (_, i) => `line ${i}\n`);
    await copyIn(client, 'COPY copied FROM STDIN', lines.join(''));
    const { rows } = await client.query(
      `SELECT count(*)::int, max(substr(line, 6)::int) FROM copied`,
    );
    expect(rows[0]).toEqual({ count: 50_000, max: 49_999 });
  });

  it('carries LISTEN and NOTIFY', async () => {
    const [listener, speaker] = [await logIn(emulator), await logIn(emulator)];
    await listener.query('LISTEN news');
    const heard = once(listener, 'notification');
    await speaker.query(`NOTIFY news, 'hello'`);
    expect((await heard)[0]).toMatchObject({ payload: 'hello' });
  });

  it('carries the parameters of the startup packet', async () => {
    const client = await logIn(emulator, {
      options: '-c search_path=catalog,public',
      statement_timeout: 12_345,
      application_name: 'catalog',
    });
    const setting = async (name: string) =>
      (await client.query<Record<string, string>>(`SHOW ${name}`)).rows[0][
        name
      ];
    expect(await setting('search_path')).toBe('catalog,public');
    expect(await setting('statement_timeout')).toBe('12345ms');
    expect(await setting('application_name')).toBe('catalog');
  });

  it('carries a cancel request', async () => {
    const client = await logIn(emulator);
    const query = client.query('SELECT pg_sleep(60)');
    const failed = expect(query).rejects.toMatchObject({ code: '57014' });
    while (!(await isRunning('SELECT pg_sleep(60)')));
    await cancel(client);
    await failed;
    expect(await currentUser(client)).toBeTruthy();
  });

  it('carries many connections at once', async () => {
    const password = await mint(emulator);
    const clients = await Promise.all(
      Array.from({ length: 50 }, () => logIn(emulator, { password })),
    );
    expect(emulator.gateway.openConnections).toBe(50);
    const users = await Promise.all(clients.map(currentUser));
    expect(new Set(users).size).toBe(1);
  });

  async function isRunning(query: string): Promise<boolean> {
    const rows = await emulator.query(
      `SELECT FROM pg_stat_activity WHERE query = $1 AND state = 'active'`,
      [query],
    );
    return rows.length > 0;
  }

  async function cancel(client: Client): Promise<void> {
    // As pg received them; the types do not have them.
    const { processID, secretKey } = client as unknown as {
      processID: number;
      secretKey: number;
    };
    const packet = Buffer.alloc(16);
    [16, 80877102, processID, secretKey].forEach((word, i) =>
      packet.writeInt32BE(word, 4 * i),
    );
    const socket = connect(emulator.gateway.port, '127.0.0.1');
    socket.end(packet);
    await once(socket.resume(), 'close');
  }
});

/** What the types do not have. */
interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** pg itself refuses to COPY FROM STDIN. */
function copyIn(client: Client, sql: string, data: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const copy = {
      submit: (connection: Connection) => connection.query(sql),
      handleCopyInResponse(connection: CopyConnection) {
        connection.sendCopyFromChunk(Buffer.from(data));
        connection.endCopyFrom();
      },
      handleCommandComplete() {},
      handleReadyForQuery: () => resolve(),
      handleError: reject,
    };
    client.query(copy as Submittable);
  });
}
