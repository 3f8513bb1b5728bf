import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

describe('a connection that fails on its way', () => {
  it('opens no socket while there is no credential', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', { status: 503 });
    const accepted = jest.fn();
    emulator.gateway.on('close', accepted);
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: { host: 'localhost' },
      lakebase: { connectTimeout: { seconds: 1 } },
    });

    const failure = lakebase.getClient('catalog');

    await expect(failure).rejects.toMatchObject({ code: 'connect-timeout' });
    await expect(failure).rejects.toThrow(/HTTP 503/);
    expect(emulator.gateway.openConnections).toBe(0);
    expect(accepted).not.toHaveBeenCalled();
  });

  it('is closed when the endpoint accepts it and never answers', async () => {
    const emulator = await start.emulator();
    emulator.gateway.stall(true);
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { connectTimeout: { seconds: 1 } },
    });

    await expect(lakebase.getClient('catalog')).rejects.toMatchObject({
      code: 'connect-timeout',
    });

    emulator.gateway.stall(false);
    await emulator.gateway.drained();
  });

  it('is closed when the login takes longer than connectTimeout', async () => {
    const emulator = await start.emulator();
    emulator.gateway.loginLatencyMs = 5_000;
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { connectTimeout: { seconds: 1 } },
    });

    await expect(lakebase.getClient('catalog')).rejects.toMatchObject({
      code: 'connect-timeout',
    });

    await emulator.gateway.drained();
  });

  it('leaves a smaller acquire timeout of the user its cause', async () => {
    const emulator = await start.emulator();
    emulator.gateway.refuseNext('startingUp', { times: Infinity });
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      knexConfig: { pool: { acquireTimeoutMillis: 2_000 } },
    });

    const failure = lakebase.getClient('catalog');

    await expect(failure).rejects.toMatchObject({ code: 'connect-timeout' });
    await expect(failure).rejects.toThrow(/the database system is starting up/);
  });
});
