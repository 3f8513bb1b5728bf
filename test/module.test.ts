import {
  coreServices,
  createBackendPlugin,
  DatabaseService,
} from '@backstage/backend-plugin-api';
import { mockServices, startTestBackend } from '@backstage/backend-test-utils';
import type { JsonObject } from '@backstage/types';
import { databaseConfig, type Emulator } from '../emulator';
import lakebaseModule, { lakebaseDatabaseServiceFactory } from '../src';
import {
  keepingRootLogger,
  lakebaseConfig,
  lakebaseTests,
} from './support/lakebase';
import { postgresOfWorker } from '../testbed/postgresOfWorker';

const start = lakebaseTests();

/** A plugin that notes which database it was given. */
function databaseUser(pluginId = 'probe') {
  const seen: { database?: DatabaseService } = {};
  const plugin = createBackendPlugin({
    pluginId,
    register(env) {
      env.registerInit({
        deps: { database: coreServices.database },
        async init({ database }) {
          seen.database = database;
          await database.getClient();
        },
      });
    },
  });
  return { plugin, seen };
}

async function currentUser({ database }: { database?: DatabaseService }) {
  const knex = await database!.getClient();
  const { rows } = await knex.raw<{ rows: { current_user: string }[] }>(
    'select current_user',
  );
  return rows[0].current_user;
}

function services(emulator: Emulator, overrides?: JsonObject) {
  const { rootLogger, lines } = keepingRootLogger();
  const rootConfig = mockServices.rootConfig.factory({
    data: lakebaseConfig(emulator, overrides),
  });
  return { rootLogger, rootConfig, lines };
}

/** To the Postgres behind the emulator, with a password of its own. */
function connectionElsewhere() {
  const { host, port, user, password } = postgresOfWorker();
  return { host, port, user, password, database: 'postgres', ssl: false };
}

describe('backend.add(lakebase)', () => {
  it('replaces the database service and says so once, with its sources', async () => {
    const emulator = await start.emulator();
    const { rootLogger, rootConfig, lines } = services(emulator);
    const { plugin, seen } = databaseUser();
    const backend = await startTestBackend({
      features: [rootLogger, rootConfig, lakebaseModule, plugin],
    });

    const user = emulator.servicePrincipal.clientId;
    await expect(currentUser(seen)).resolves.toBe(user);
    const said = lines.filter(({ message }) => /^Lakebase is/.test(message));
    expect(said).toHaveLength(1);
    for (const part of [
      'one database each',
      emulator.endpoint,
      'backend.database.lakebase.endpoint',
      `localhost:${emulator.gateway.port} (looked up)`,
      `${user} (the client id)`,
      emulator.controlPlane.url,
      'backend.database.lakebase.workspace.clientSecret',
    ]) {
      expect(said[0].message).toContain(part);
    }
    await backend.stop();
    await emulator.gateway.drained();
  });

  it('stays out of the way without the block', async () => {
    const { host, port, user, password } = postgresOfWorker();
    const { plugin, seen } = databaseUser();
    const rootConfig = mockServices.rootConfig.factory({
      data: {
        backend: {
          database: {
            client: 'pg',
            connection: { host, port, user, password, ssl: false },
            ensureExists: false,
            pluginDivisionMode: 'schema',
          },
        },
      },
    });
    const backend = await startTestBackend({
      features: [rootConfig, lakebaseModule, plugin],
    });

    await expect(currentUser(seen)).resolves.toBe(user);
    // The stock service does not close its pools.
    await (await seen.database!.getClient()).destroy();
    await backend.stop();
  });

  it('says at start why nothing is on Lakebase with another client', async () => {
    const emulator = await start.emulator();
    const own = { client: 'better-sqlite3', connection: ':memory:' };
    const note = /lakebase has no effect: .*client is 'better-sqlite3'/;
    const { rootLogger, rootConfig, lines } = services(emulator, own);

    const backend = await startTestBackend({
      features: [rootLogger, rootConfig, lakebaseModule],
    });

    expect(lines).toContainEqual({
      level: 'info',
      message: expect.stringMatching(note) as string,
    });
    expect(emulator.controlPlane.calls).toEqual([]);
    await backend.stop();
  });

  it('stays out of the way of lakebase: false without a word', async () => {
    const emulator = await start.emulator();
    const database = { ...databaseConfig(emulator), lakebase: false };
    const { rootLogger, lines } = keepingRootLogger();
    const rootConfig = mockServices.rootConfig.factory({
      data: { backend: { database } },
    });

    const backend = await startTestBackend({
      features: [rootLogger, rootConfig, lakebaseModule],
    });

    expect(lines.filter(({ message }) => /lakebase/i.test(message))).toEqual(
      [],
    );
    await backend.stop();
  });

  it("leaves a laptop to the Postgres that Backstage's CLI starts for it", async () => {
    const emulator = await start.emulator();
    const { host, port, user, password } = postgresOfWorker();
    const injected = {
      client: 'pg',
      connection: { host, port, user, password, ssl: false },
    };
    const { rootLogger, rootConfig, lines } = services(emulator, injected);
    const { plugin, seen } = databaseUser();
    const before = process.env.APP_CONFIG_backend_database;
    process.env.APP_CONFIG_backend_database = JSON.stringify(injected);

    const backend = await startTestBackend({
      features: [rootLogger, rootConfig, lakebaseModule, plugin],
    }).finally(() => {
      if (before === undefined) delete process.env.APP_CONFIG_backend_database;
      else process.env.APP_CONFIG_backend_database = before;
    });

    await expect(currentUser(seen)).resolves.toBe(user);
    expect(lines).toContainEqual({
      level: 'info',
      message: expect.stringContaining(
        "client is 'embedded-postgres'",
      ) as string,
    });
    expect(emulator.controlPlane.calls).toEqual([]);
    // The stock service leaves its pools open.
    await (await seen.database!.getClient()).destroy();
    await emulator.query('drop database backstage_plugin_probe');
    await backend.stop();
  });

  it('gives way to a database service that the user added, and warns', async () => {
    const emulator = await start.emulator();
    const { rootLogger, rootConfig, lines } = services(emulator);
    const { plugin, seen } = databaseUser();
    const own = mockServices.database.mock();
    const backend = await startTestBackend({
      features: [rootLogger, rootConfig, lakebaseModule, own.factory, plugin],
    });

    expect(seen.database!.getClient).toBe(own.getClient);
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([
      {
        level: 'warn',
        message: expect.stringContaining('not in use') as string,
      },
    ]);
    expect(emulator.controlPlane.calls).toEqual([]);
    await backend.stop();
  });

  it('can be put together by its factory', async () => {
    const emulator = await start.emulator();
    const { rootLogger, rootConfig } = services(emulator);
    const { plugin, seen } = databaseUser();
    const backend = await startTestBackend({
      features: [
        rootLogger,
        rootConfig,
        lakebaseDatabaseServiceFactory,
        plugin,
      ],
    });

    await expect(currentUser(seen)).resolves.toBe(
      emulator.servicePrincipal.clientId,
    );
    await backend.stop();
    await emulator.gateway.drained();
  });

  it('leaves a plugin with another client to the stock service', async () => {
    const emulator = await start.emulator();
    const { rootLogger, rootConfig } = services(emulator, {
      plugin: { probe: { client: 'oracledb', connection: 'x' } },
    });
    const { plugin } = databaseUser();

    await expect(
      startTestBackend({
        features: [rootLogger, rootConfig, lakebaseModule, plugin],
      }),
    ).rejects.toThrow(
      "Unsupported database client type 'oracledb' specified for plugin 'probe'",
    );
  });

  it('leaves a plugin with lakebase: false to the stock service', async () => {
    const emulator = await start.emulator();
    const connection = connectionElsewhere();
    const { rootLogger, rootConfig } = services(emulator, {
      plugin: {
        probe: {
          lakebase: false,
          ensureExists: false,
          connection,
        },
      },
    });
    const probe = databaseUser('probe');
    const other = databaseUser('other');
    const backend = await startTestBackend({
      features: [
        rootLogger,
        rootConfig,
        lakebaseModule,
        probe.plugin,
        other.plugin,
      ],
    });

    await expect(currentUser(probe.seen)).resolves.toBe(connection.user);
    await expect(currentUser(other.seen)).resolves.toBe(
      emulator.servicePrincipal.clientId,
    );
    // The stock service does not close its pools.
    await (await probe.seen.database!.getClient()).destroy();
    await backend.stop();
    await emulator.gateway.drained();
  });

  it('leaves such a plugin a schema of its own, too', async () => {
    const emulator = await start.emulator();
    const connection = connectionElsewhere();
    const { rootLogger, rootConfig } = services(emulator, {
      pluginDivisionMode: 'schema',
      plugin: { probe: { lakebase: false, connection } },
    });
    const { plugin, seen } = databaseUser();
    const backend = await startTestBackend({
      features: [rootLogger, rootConfig, lakebaseModule, plugin],
    });

    const knex = await seen.database!.getClient();
    const { rows } = await knex.raw<{ rows: object[] }>(
      'select current_user as user, current_schema() as schema',
    );
    expect(rows).toEqual([{ user: connection.user, schema: 'probe' }]);
    expect(emulator.gateway.logins).toEqual([]);

    await knex.raw('drop schema probe');
    // The stock service leaves its pools open.
    await knex.destroy();
    await backend.stop();
  });

  it('puts single plugins on Lakebase, without a block for all', async () => {
    const emulator = await start.emulator();
    const { connection, lakebase } = databaseConfig(emulator);
    const { host, port, user, password } = postgresOfWorker();
    const { rootLogger } = keepingRootLogger();
    const rootConfig = mockServices.rootConfig.factory({
      data: {
        backend: {
          database: {
            client: 'pg',
            pluginDivisionMode: 'schema',
            ensureExists: false,
            connection: { host, port, user, password, database: 'postgres' },
            plugin: { probe: { connection, lakebase, ensureExists: true } },
          },
        },
      },
    });
    const probe = databaseUser('probe');
    const other = databaseUser('other');
    const backend = await startTestBackend({
      features: [
        rootLogger,
        rootConfig,
        lakebaseModule,
        probe.plugin,
        other.plugin,
      ],
    });

    await expect(currentUser(probe.seen)).resolves.toBe(
      emulator.servicePrincipal.clientId,
    );
    await expect(currentUser(other.seen)).resolves.toBe(user);
    await (await other.seen.database!.getClient()).destroy();
    await backend.stop();
    await emulator.gateway.drained();
  });

  it('warns of settings that the stock connector ignored', async () => {
    const emulator = await start.emulator();
    const { rootLogger, rootConfig, lines } = services(emulator, {
      pluginDivisionMode: 'Database',
      plugin: { probe: { role: emulator.servicePrincipal.clientId } },
    });
    const { plugin } = databaseUser();
    const backend = await startTestBackend({
      features: [rootLogger, rootConfig, lakebaseModule, plugin],
    });

    expect(lines.filter(({ level }) => level === 'warn')).toEqual([
      {
        level: 'warn',
        message: expect.stringContaining(
          'backend.database.plugin.probe.role takes effect',
        ) as string,
      },
      {
        level: 'warn',
        message: expect.stringContaining(
          "backend.database.pluginDivisionMode is 'Database'",
        ) as string,
      },
    ]);
    await backend.stop();
    await emulator.gateway.drained();
  });

  it('tells plugins to skip migrations when told so', async () => {
    const emulator = await start.emulator();
    const { rootLogger, rootConfig } = services(emulator, {
      plugin: { probe: { skipMigrations: true } },
    });
    const one = databaseUser('probe');
    const two = databaseUser('other');
    const backend = await startTestBackend({
      features: [
        rootLogger,
        rootConfig,
        lakebaseModule,
        one.plugin,
        two.plugin,
      ],
    });

    expect(one.seen.database!.migrations).toEqual({ skip: true });
    expect(two.seen.database!.migrations).toEqual({ skip: false });
    await backend.stop();
    await emulator.gateway.drained();
  });
});
