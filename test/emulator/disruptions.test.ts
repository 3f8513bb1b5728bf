import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import type { Emulator } from '../../emulator';
import { startTestEmulator } from '../support/emulator';
import { closeClients, currentUser, logIn, mint } from './clients';

describe('the emulated gateway', () => {
  let emulator: Emulator;

  beforeEach(async () => {
    emulator = await startTestEmulator();
  });
  afterEach(async () => {
    await closeClients(emulator);
    await emulator.stop();
  });

  const backends = async () => {
    const [{ count }] = await emulator.query(
      'SELECT count(*)::int FROM pg_stat_activity WHERE usename = $1',
      [emulator.servicePrincipal.clientId],
    );
    return count as number;
  };

  it.each([
    ['terminate', { code: '57P01' }],
    ['reset', { code: 'ECONNRESET' }],
    ['close', { message: 'Connection terminated unexpectedly' }],
  ] as const)(
    'drops connections by %s, backends included',
    async (mode, expected) => {
      const client = await logIn(emulator);
      const failed = once(client, 'error');
      await emulator.gateway.dropConnections(mode);
      expect((await failed)[0]).toMatchObject(expected);
      expect(emulator.gateway.openConnections).toBe(0);
      expect(await backends()).toBe(0);
      await logIn(emulator);
    },
  );

  it('drops a connection in the middle of a query', async () => {
    const client = await logIn(emulator);
    const query = client.query('SELECT pg_sleep(60)');
    const failed = expect(query).rejects.toMatchObject({ code: '57P01' });
    await emulator.gateway.dropConnections();
    await failed;
  });

  it('drops a connection whose login is under way', async () => {
    const password = await mint(emulator);
    emulator.gateway.loginLatencyMs = 5_000;
    const login = logIn(emulator, { password });
    const failed = expect(login).rejects.toMatchObject({ code: '57P01' });
    await once(emulator.gateway, 'attempt');
    await emulator.gateway.dropConnections();
    await failed;
    expect(emulator.gateway.logins).toEqual([]);
  });

  it.each(['destroy', 'resetAndDestroy'] as const)(
    'ends the backend of a client that vanishes by %s',
    async vanish => {
      const socket = new Socket();
      await logIn(emulator, { stream: () => socket });
      socket[vanish]();
      await emulator.gateway.drained();
      for (let tries = 0; tries < 50 && (await backends()) > 0; tries++);
      expect(await backends()).toBe(0);
    },
  );

  it('holds connections while a suspended compute wakes up', async () => {
    const { gateway } = emulator;
    const client = await logIn(emulator);
    const failed = once(client, 'error');
    await gateway.suspend({ wakeDelayMs: 200 });
    expect((await failed)[0]).toMatchObject({ code: '57P01' });

    const before = Date.now();
    const [first] = await Promise.all([logIn(emulator), logIn(emulator)]);
    expect(Date.now() - before).toBeGreaterThanOrEqual(190);
    expect(await currentUser(first)).toBeTruthy();
    await logIn(emulator);
  });

  it('does not wake up by itself', async () => {
    const { gateway } = emulator;
    await gateway.suspend({ wakeDelayMs: 50, while: 'startingUp' });
    await new Promise(resolve => setTimeout(resolve, 100));
    await expect(logIn(emulator)).rejects.toMatchObject({ code: '57P03' });
    await new Promise(resolve => setTimeout(resolve, 60));
    await logIn(emulator);
  });

  it('resets connections while it wakes up, when told so', async () => {
    await emulator.gateway.suspend({ wakeDelayMs: 50, while: 'refuse' });
    await expect(logIn(emulator)).rejects.toMatchObject({ code: 'ECONNRESET' });
    await new Promise(resolve => setTimeout(resolve, 60));
    await logIn(emulator);
  });

  it('answers nothing while stalled, and counts who waits', async () => {
    const { gateway } = emulator;
    gateway.stall(true);
    await expect(
      logIn(emulator, { connectionTimeoutMillis: 100 }),
    ).rejects.toThrow('timeout expired');

    const waiting = logIn(emulator);
    gateway.stall(false);
    await waiting;
    expect(gateway.openConnections).toBe(1);
  });

  it('counts sockets that never log in', async () => {
    const { gateway } = emulator;
    const socket = connect(gateway.port, '127.0.0.1');
    await once(socket, 'connect');
    const client = await logIn(emulator);
    expect(gateway.openConnections).toBe(2);

    const closed = once(gateway, 'close');
    await client.end();
    await closed;
    expect(gateway.openConnections).toBe(1);
    socket.destroy();
    await gateway.drained();
  });

  it('hangs up on what is not Postgres', async () => {
    const socket = connect(emulator.gateway.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await once(socket.resume(), 'close');
  });

  it('stops while connections are open, waiting or asleep', async () => {
    const { gateway } = emulator;
    await logIn(emulator);
    const silent = connect(gateway.port, '127.0.0.1').resume();
    await once(silent, 'connect');
    gateway.stall(true);
    const stalled = expect(logIn(emulator)).rejects.toThrow();
    await emulator.stop();
    await stalled;
    expect(gateway.openConnections).toBe(0);
    // afterEach wants one to stop.
    emulator = await startTestEmulator();
  });
});
