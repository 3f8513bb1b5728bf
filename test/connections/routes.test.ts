import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { omit } from 'lodash';
import { lakebaseConfig, lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

describe('an endpoint behind', () => {
  it('an IP address is reached with ssl.servername', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: { host: '127.0.0.1', ssl: { servername: 'localhost' } },
    });

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.controlPlane.count('endpoint')).toBe(0);
  });

  it('an IP address is not reached without, and the error says so', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: { host: '127.0.0.1' },
    });

    await expect(lakebase.getClient('catalog')).rejects.toThrow(
      /backend\.database\.connection\.ssl\.servername/,
    );
    expect(emulator.gateway.refusals).toHaveLength(1);
  });

  it('an alias is asked for, and verified, by its own name', async () => {
    const emulator = await start.emulator();
    // The certificate is for elsewhere.emulator.test, and for nothing else.
    emulator.gateway.tls = 'wrongName';
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: {
        host: 'localhost',
        ssl: { servername: 'elsewhere.emulator.test' },
      },
    });

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    // Cancelling there makes a connection past the pool.
    await expect(
      knex.transaction(tx =>
        tx.raw('select pg_sleep(20)').timeout(200, { cancel: true }),
      ),
    ).rejects.toThrow(/timeout/);
  });

  it('a private CA is reached with NODE_EXTRA_CA_CERTS', async () => {
    const emulator = await start.emulator({ https: true });
    const config = omit(lakebaseConfig(emulator, schemaMode), [
      'backend.database.connection.ssl',
    ]);
    const child = fork(
      path.join(__dirname, '..', 'support', 'process.ts'),
      ['used and shut down', JSON.stringify(config)],
      {
        execArgv: ['--import', 'tsx'],
        env: { ...process.env, NODE_EXTRA_CA_CERTS: emulator.ca.certFile },
      },
    );

    const [code] = (await once(child, 'exit')) as [number];

    expect(code).toBe(0);
    expect(emulator.gateway.logins).toHaveLength(1);
  });
});

describe('the PG* variables', () => {
  const variables = {
    PGHOST: 'pg.example.com',
    PGPORT: '1',
    PGUSER: 'somebody',
    PGDATABASE: 'elsewhere',
    PGPASSWORD: 'not-a-credential',
    PGSSLMODE: 'disable',
  };

  beforeEach(() => Object.assign(process.env, variables));
  afterEach(() => {
    for (const name of Object.keys(variables)) delete process.env[name];
  });

  it('do not lead a connection elsewhere, or past TLS', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);

    await lakebase.getClient('catalog');

    expect(emulator.gateway.logins).toMatchObject([
      {
        user: emulator.servicePrincipal.clientId,
        database: 'databricks_postgres',
      },
    ]);
  });
});
