import { once } from 'node:events';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { encodeStartup } from '../../src/localProxy/wire';
import { proxyTests } from '../support/localProxy';
import { lakebaseTests } from '../support/lakebase';

const local = proxyTests();
const start = lakebaseTests();

const request = (code: number) => {
  const packet = Buffer.alloc(8);
  packet.writeInt32BE(8, 0);
  packet.writeInt32BE(code, 4);
  return packet;
};
const SSL = request(80877103);
const GSS = request(80877104);
const STARTUP = encodeStartup(new Map([['database', 'databricks_postgres']]));

/** All that the proxy says before it closes the connection. */
const answerTo = async (socket: Socket, words: Buffer): Promise<string> => {
  socket.write(words);
  return (await buffer(socket)).toString();
};

describe('a client of the local proxy', () => {
  it('is told that neither TLS nor GSS is spoken, and goes on without', async () => {
    const emulator = await start.emulator();
    const socket = await local.socket(await local.proxy(emulator));

    socket.write(GSS);
    expect(String(await once(socket, 'data'))).toBe('N');
    socket.write(SSL);
    expect(String(await once(socket, 'data'))).toBe('N');
    socket.write(STARTUP);
    const [greeting] = (await once(socket, 'data')) as [Buffer];

    expect(greeting.toString('latin1')).toMatch(/^R.*server_version.*Z/s);
  });

  it.each([
    ['a TLS hello', Buffer.from('16030100f8010000f40303', 'hex')],
    ['a packet that is too long', lengthOnly(10_001)],
    ['a packet that is too short', lengthOnly(7)],
    ['a negative length', lengthOnly(-1)],
    ['a length of zero', lengthOnly(0)],
    ['the largest length', lengthOnly(0x7fffffff)],
    ['the smallest length', lengthOnly(-0x80000000)],
    ['nothing but zeros', Buffer.alloc(64)],
    ['nothing but ones', Buffer.alloc(64, 0xff)],
    ['a password before anybody asks', Buffer.from('p\0\0\0\x08abc\0')],
    ['a query before its login', Buffer.from('Q\0\0\0\x0dselect 1\0')],
    ['a termination', Buffer.from('X\0\0\0\x04\0\0\0\0')],
    ['no parameters', startup('')],
    ['text after the end of its parameters', startup('user\0x\0\0more\0')],
    ['one end too many', startup('user\0x\0\0\0')],
    ['version 3 of another minor', request(196609)],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['another version of the protocol', request(131072)],
    ['a name without a value', startup('user\0x\0database\0\0')],
    ['parameters without an end', startup('user\0x')],
    ['an empty name', startup('\0x\0\0')],
  ])('is refused when it says %s', async (_, words) => {
    const emulator = await start.emulator();
    const socket = await local.socket(await local.proxy(emulator));

    await expect(answerTo(socket, words)).resolves.toMatch(/^E.*C08P01/s);

    expect(emulator.gateway.logins).toEqual([]);
  });

  it('is let go when it leaves within its first packet', async () => {
    const emulator = await start.emulator();
    const socket = await local.socket(await local.proxy(emulator));

    socket.end(STARTUP.subarray(0, 6));

    await once(socket.resume(), 'close');
  });

  it('is let go when it says nothing', async () => {
    const emulator = await start.emulator();
    const proxy = await local.proxy(emulator, { connectTimeoutMs: 1_000 });
    const socket = await local.socket(proxy);

    await once(socket.resume(), 'close');
  });

  it.each(['end', 'destroy'] as const)(
    'takes its login with it when it leaves (%s)',
    async leave => {
      const emulator = await start.emulator();
      emulator.gateway.stall(true);
      const proxy = await local.proxy(emulator);
      const socket = await local.socket(proxy);
      socket.write(STARTUP);
      await once(emulator.gateway, 'connection');

      socket[leave]();
      // Once a later one is heard, the end of this one is.
      const later = await local.socket(proxy);
      later.write(SSL);
      await once(later, 'data');
      emulator.gateway.stall(false);

      await emulator.gateway.drained();
      expect(emulator.gateway.logins).toEqual([]);
    },
  );

  it('takes its session with it when it goes away within a query', async () => {
    const emulator = await start.emulator();
    const client = await local.client(await local.proxy(emulator));
    const query = client.query('select pg_sleep(1)');
    const outcome = expect(query).rejects.toThrow();

    client.connection.stream.destroy();

    await outcome;
    await emulator.gateway.drained();
  });

  it.each(['terminate', 'reset', 'close'] as const)(
    'loses its session when the server does (%s), and gets another one',
    async mode => {
      const emulator = await start.emulator();
      const proxy = await local.proxy(emulator);
      const client = await local.client(proxy);
      const ended = new Promise<void>(resolve => client.once('end', resolve));

      await emulator.gateway.dropConnections(mode);
      await ended;

      const other = await local.client(proxy);
      await expect(other.query('select 1')).resolves.toBeDefined();
    },
  );

  it('hears the last words of the server', async () => {
    const emulator = await start.emulator();
    const client = await local.client(await local.proxy(emulator));
    const told = once(client, 'error');

    await emulator.gateway.dropConnections('terminate');

    expect(await told).toMatchObject([{ code: '57P01' }]);
  });
});

describe('a login through the local proxy that fails', () => {
  it('says what is missing and what to do, with the code of the server', async () => {
    const emulator = await start.emulator();
    const proxy = await local.proxy(emulator);

    await expect(
      local.client(proxy, { database: 'absent' }),
    ).rejects.toMatchObject({
      code: '3D000',
      message: expect.stringMatching(
        /There is no database "absent".*backend\.database/,
      ) as string,
    });
  });

  it('says how long it has waited, and for what', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', { status: 503 });
    const proxy = await local.proxy(emulator, { connectTimeoutMs: 1_000 });

    await expect(local.client(proxy)).rejects.toMatchObject({
      code: '08006',
      message: expect.stringMatching(/minted in time.*503/) as string,
    });
  });

  it('waits for an endpoint that is waking up', async () => {
    const emulator = await start.emulator();
    emulator.gateway.refuseNext('startingUp', { times: 2 });

    const client = await local.client(await local.proxy(emulator));

    await expect(client.query('select 1')).resolves.toBeDefined();
  });

  it('tells no token and no secret', async () => {
    const emulator = await start.emulator();
    const proxy = await local.proxy(emulator);
    emulator.gateway.refuseNext('wrongIdentity', { times: Infinity });

    const failure = await local.client(proxy).then(
      () => new Error('logged in'),
      (error: Error) => error,
    );

    expect(failure).toMatchObject({ code: '28P01' });
    const { clientSecret } = emulator.servicePrincipal;
    const told = `${failure.stack} ${JSON.stringify(Object.entries(failure))}`;
    expect(told).not.toMatch(/eyJ/);
    expect(told).not.toContain(clientSecret);
  });
});

function lengthOnly(length: number): Buffer {
  const packet = Buffer.alloc(8);
  packet.writeInt32BE(length, 0);
  packet.writeInt32BE(196608, 4);
  return packet;
}

function startup(body: string): Buffer {
  const packet = Buffer.concat([
    lengthOnly(8 + body.length),
    Buffer.from(body),
  ]);
  return packet;
}
