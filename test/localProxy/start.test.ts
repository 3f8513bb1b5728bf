import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import type { JsonObject } from '@backstage/types';
import { checkAtStart } from '../support/appConfig';
import { socketPath } from '../../src/localProxy/socketFile';
import { backendWaits, proxyTests } from '../support/localProxy';
import { lakebaseConfig, lakebaseTests } from '../support/lakebase';

const local = proxyTests();
const start = lakebaseTests();

const socketFile = () =>
  socketPath({ directory: local.directory(), port: 5432 });

describe('the socket of the local proxy', () => {
  it('is reachable by its own user only', async () => {
    const emulator = await start.emulator();

    await local.proxy(emulator);

    const { mode } = await stat(local.directory());
    expect((mode & 0o777).toString(8)).toBe('700');
  });

  it('is not put where others could reach it', async () => {
    const emulator = await start.emulator();
    await mkdir(local.directory());
    await chmod(local.directory(), 0o755);

    await expect(local.proxy(emulator)).rejects.toThrow(
      /localProxy.*connection\.host.*open to other users/s,
    );
  });

  it('is not put where a file lies', async () => {
    const emulator = await start.emulator();
    await writeFile(local.directory(), '');

    await expect(local.proxy(emulator)).rejects.toThrow(/connection\.host/);
  });

  it('takes the place of one that a killed process left', async () => {
    const emulator = await start.emulator();
    await leaveSocketBehind();

    const client = await local.client(await local.proxy(emulator));

    await expect(client.query('select 1')).resolves.toBeDefined();
  });

  it('is not taken from another process', async () => {
    const emulator = await start.emulator();
    await mkdir(local.directory(), { mode: 0o700 });
    const other = createServer().listen(socketFile());
    await once(other, 'listening');

    await expect(local.proxy(emulator)).rejects.toThrow(
      /connection\.host.*another process listens there/s,
    );
    await new Promise(resolve => other.close(resolve));
  });

  it('is gone after the shutdown', async () => {
    const emulator = await start.emulator();
    const proxy = await local.proxy(emulator);

    await proxy.close();

    await expect(stat(socketFile())).rejects.toThrow('ENOENT');
  });

  it('cannot have a name that is too long for one', async () => {
    const emulator = await start.emulator();
    const directory = path.join(local.directory(), 'x'.repeat(100));

    await expect(local.proxy(emulator, { directory })).rejects.toThrow(
      /connection\.host.*longer than/s,
    );
  });
});

describe('the shutdown of the local proxy', () => {
  it('lets a query in flight finish, and ends the others at once', async () => {
    const emulator = await start.emulator();
    const proxy = await local.proxy(emulator);
    const busy = await local.client(proxy);
    const idle = await local.client(proxy);
    const told = once(idle, 'error');
    const query = busy.query(`select pg_sleep(1), 'finished' as outcome`);
    await backendWaits(emulator, 'PgSleep');

    await proxy.close();

    await expect(query).resolves.toMatchObject({
      rows: [{ outcome: 'finished' }],
    });
    expect(await told).toMatchObject([{ code: '57P01' }]);
    await emulator.gateway.drained();
  });

  it('lets the process exit by itself, after use and without', async () => {
    const emulator = await start.emulator();
    const config = lakebaseConfig(emulator, {
      pluginDivisionMode: 'schema',
      connection: {
        host: local.directory(),
        port: 5432,
        database: 'databricks_postgres',
        ssl: false,
      },
      lakebase: {
        localProxy: true,
        connection: {
          port: emulator.gateway.port,
          ssl: { ca: emulator.ca.cert },
        },
      },
    });

    for (const manner of ['waiting', 'used and shut down']) {
      const child = fork(
        path.join(__dirname, '..', 'support', 'process.ts'),
        [manner, JSON.stringify(config)],
        { execArgv: ['--import', 'tsx'] },
      );
      const [code] = (await once(child, 'exit')) as [number];
      expect(code).toBe(0);
    }
  });
});

describe('the address of the local proxy', () => {
  const read = (database: JsonObject, env: Record<string, string> = {}) => {
    const lakebase = { localProxy: true };
    const [endpoint] = checkAtStart({ lakebase, ...database }, env).endpoints;
    return endpoint.localProxy!.socket;
  };

  it('is where plugins dial by backend.database.connection', () => {
    const connection = { host: '/run/backstage', port: '6543' };

    expect(read({ connection })).toEqual({
      directory: '/run/backstage',
      port: 6543,
    });
  });

  it.each<[string, JsonObject | string, RegExp]>([
    ['a string', 'postgresql:///x', /connection must be an object/],
    ['no host', { port: 5432 }, /connection\.host must be the directory/],
    [
      'the host of the endpoint',
      { host: 'ep.example.com', port: 5432 },
      /connection\.host must be.*lakebase\.connection\.host/s,
    ],
    ['no port', { host: '/run/x' }, /connection\.port is missing.*5432/s],
    [
      'TLS',
      { host: '/run/x', port: 5432, ssl: { ca: 'x' } },
      /connection\.ssl.*lakebase\.connection\.ssl/s,
    ],
  ])('is not %s', (_, connection, message) => {
    expect(() => read({ connection })).toThrow(message);
  });

  it('is not with PGSSLMODE, which makes plugins ask for TLS', () => {
    const connection = { host: '/run/x', port: 5432 };

    expect(() => read({ connection }, { PGSSLMODE: 'require' })).toThrow(
      /PGSSLMODE.*ssl: false/s,
    );
    expect(
      read(
        { connection: { ...connection, ssl: false } },
        { PGSSLMODE: 'require' },
      ),
    ).toBeDefined();
  });

  it('needs the database in schema mode, for which RBAC has no default', () => {
    const connection = { host: '/run/x', port: 5432 };

    expect(() => read({ connection, pluginDivisionMode: 'schema' })).toThrow(
      /connection\.database is missing/,
    );
  });
});

/** As a process does that gets no chance to clean up. */
async function leaveSocketBehind(): Promise<void> {
  await mkdir(local.directory(), { mode: 0o700 });
  const listen = `require('net').createServer().listen('${socketFile()}',
    () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', listen]);
  await stat(socketFile());
}
