import type { Knex } from 'knex';
import { LakebaseError } from '../../src/errors';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();

async function whereAmI(knex: Knex) {
  const { rows } = await knex.raw<{ rows: unknown[] }>(
    `select current_database() as database, current_schema as schema,
       current_user as user, current_setting('application_name') as application`,
  );
  return rows[0];
}

describe('pluginDivisionMode: database', () => {
  it('creates the database of a plugin, owned by the login', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator);

    const knex = await lakebase.getClient('catalog');

    const user = emulator.servicePrincipal.clientId;
    await expect(whereAmI(knex)).resolves.toEqual({
      database: 'backstage_plugin_catalog',
      schema: 'public',
      user,
      application: 'backstage_plugin_catalog',
    });
    await expect(
      emulator.query(
        `select pg_get_userbyid(datdba) as owner from pg_database
         where datname = 'backstage_plugin_catalog'`,
      ),
    ).resolves.toEqual([{ owner: user }]);
  });

  it('creates the database of a plugin with a role of its own as that role', async () => {
    const emulator = await start.emulator();
    const user = emulator.servicePrincipal.clientId;
    await emulator.createRole('catalog_owner', { attributes: 'CREATEDB' });
    await emulator.query(`grant catalog_owner to "${user}"`);
    const lakebase = start.lakebase(emulator, {
      plugin: { catalog: { role: 'catalog_owner' } },
    });

    await Promise.all(['catalog', 'search'].map(id => lakebase.getClient(id)));

    await expect(
      emulator.query(
        `select datname, pg_get_userbyid(datdba) as owner from pg_database
         where datname like 'backstage_plugin_%' order by 1`,
      ),
    ).resolves.toEqual([
      { datname: 'backstage_plugin_catalog', owner: 'catalog_owner' },
      { datname: 'backstage_plugin_search', owner: user },
    ]);
  });

  it('creates it although the pool keeps errors to itself', async () => {
    const emulator = await start.emulator();
    const pool = { propagateCreateError: false, acquireTimeoutMillis: 5_000 };
    const lakebase = start.lakebase(emulator, { knexConfig: { pool } });

    const knex = await lakebase.getClient('catalog');

    expect(knex.client).toMatchObject({
      pool: { propagateCreateError: false },
    });
  });

  it('creates it from adminDatabase and never asks for postgres', async () => {
    const emulator = await start.emulator();
    await emulator.query(
      `create database operations owner "${emulator.servicePrincipal.clientId}"`,
    );
    const lakebase = start.lakebase(emulator, {
      lakebase: { adminDatabase: 'operations' },
    });

    await lakebase.getClient('catalog');

    expect(emulator.gateway.logins.map(({ database }) => database)).toEqual([
      'operations',
      'backstage_plugin_catalog',
    ]);
  });

  it('needs no right to create a database that exists', async () => {
    const emulator = await start.emulator();
    const user = emulator.servicePrincipal.clientId;
    await emulator.query(
      `create database backstage_plugin_catalog owner "${user}"`,
    );
    await emulator.query(`alter role "${user}" nocreatedb`);
    const lakebase = start.lakebase(emulator);

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.gateway.logins.map(({ database }) => database)).toEqual([
      'backstage_plugin_catalog',
    ]);
  });

  it('names the right that is missing to create one', async () => {
    const emulator = await start.emulator();
    const user = emulator.servicePrincipal.clientId;
    await emulator.query(`alter role "${user}" nocreatedb`);
    const lakebase = start.lakebase(emulator);

    const failure = lakebase.getClient('catalog');

    await expect(failure).rejects.toMatchObject({ code: 'grant-missing' });
    await expect(failure).rejects.toThrow(`ALTER ROLE "${user}" CREATEDB`);
  });

  it('does not create it with ensureExists: false', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, { ensureExists: false });

    const failure = lakebase.getClient('catalog');

    await expect(failure).rejects.toMatchObject({ code: 'database-missing' });
    await expect(failure).rejects.toThrow(/ensureExists/);
  });

  it('lets two replicas create it at once', async () => {
    const emulator = await start.emulator();
    const replicas = [start.lakebase(emulator), start.lakebase(emulator)];

    const clients = await Promise.all(
      ['catalog', 'search', 'auth'].flatMap(id =>
        replicas.map(replica => replica.getClient(id)),
      ),
    );

    expect(clients).toHaveLength(6);
  });
});

describe('pluginDivisionMode: schema', () => {
  const schemaMode = { pluginDivisionMode: 'schema' };

  it('creates the schema of a plugin in the one database', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);

    const knex = await lakebase.getClient('catalog');

    await expect(whereAmI(knex)).resolves.toMatchObject({
      database: 'databricks_postgres',
      schema: 'catalog',
    });
    expect(emulator.gateway.logins).toHaveLength(1);
  });

  it('creates the one database, when it is missing', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: { database: 'portal' },
    });

    const clients = await Promise.all([
      lakebase.getClient('catalog'),
      lakebase.getClient('search'),
    ]);

    await expect(whereAmI(clients[1])).resolves.toMatchObject({
      database: 'portal',
      schema: 'search',
    });
  });

  it('needs no right to create a schema that exists', async () => {
    const emulator = await start.emulator();
    const user = emulator.servicePrincipal.clientId;
    const inDatabase = (sql: string) =>
      emulator.query(sql, [], 'databricks_postgres');
    await inDatabase(`create schema catalog authorization "${user}"`);
    await inDatabase(
      `revoke create on database databricks_postgres from "${user}"`,
    );
    const lakebase = start.lakebase(emulator, schemaMode);

    const knex = await lakebase.getClient('catalog');

    await knex.schema.createTable('t', table => table.increments());
  });

  it('names the right that is missing to create one', async () => {
    const emulator = await start.emulator();
    const user = emulator.servicePrincipal.clientId;
    await emulator.query(
      `revoke create on database databricks_postgres from "${user}"`,
      [],
      'databricks_postgres',
    );
    const lakebase = start.lakebase(emulator, schemaMode);

    await expect(lakebase.getClient('catalog')).rejects.toThrow(
      `GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "databricks_postgres" TO "${user}"`,
    );
  });

  it('lets two replicas create it at once', async () => {
    const emulator = await start.emulator();
    const replicas = [
      start.lakebase(emulator, schemaMode),
      start.lakebase(emulator, schemaMode),
    ];

    const clients = await Promise.all(
      ['catalog', 'search', 'auth'].flatMap(id =>
        replicas.map(replica => replica.getClient(id)),
      ),
    );

    expect(clients).toHaveLength(6);
  });
});

describe('role', () => {
  const roleOf = async (knex: Knex) =>
    ((await whereAmI(knex)) as { user: string }).user;

  it('is set on every connection, and owns what is created', async () => {
    const emulator = await start.emulator();
    const user = emulator.servicePrincipal.clientId;
    await emulator.createRole('backstage_owner');
    await emulator.query(`grant backstage_owner to "${user}"`);
    await emulator.query(
      'grant create on database databricks_postgres to backstage_owner',
      [],
      'databricks_postgres',
    );
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      role: 'backstage_owner',
    });

    const knex = await lakebase.getClient('catalog');
    const roles = await Promise.all([1, 2, 3, 4, 5].map(() => roleOf(knex)));

    expect(new Set(roles)).toEqual(new Set(['backstage_owner']));
    const { rows } = await knex.raw<{ rows: unknown[] }>(
      `select pg_get_userbyid(nspowner) as owner from pg_namespace
       where nspname = 'catalog'`,
    );
    expect(rows).toEqual([{ owner: 'backstage_owner' }]);
  });

  it.each([
    ['does not exist', false],
    ['was not granted', true],
  ])('that %s fails the connection and leaves none', async (_, exists) => {
    const emulator = await start.emulator();
    if (exists) {
      await emulator.createRole('backstage_owner');
    }
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      role: 'backstage_owner',
    });
    const user = emulator.servicePrincipal.clientId;

    const failure = lakebase.getClient('catalog');

    await expect(failure).rejects.toThrow(
      `GRANT "backstage_owner" TO "${user}"`,
    );
    await emulator.gateway.drained();
    expect(emulator.gateway.logins).toHaveLength(1);
  });
});

describe('getClient', () => {
  it('gives every caller the same client', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator);

    const [one, two] = await Promise.all([
      lakebase.getClient('catalog'),
      lakebase.getClient('catalog'),
    ]);

    expect(one).toBe(two);
    await expect(lakebase.getClient('catalog')).resolves.toBe(one);
  });

  it('does not remember a failure', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, { ensureExists: false });
    const failure = lakebase.getClient('catalog');
    await expect(failure).rejects.toBeInstanceOf(LakebaseError);

    await emulator.query(
      `create database backstage_plugin_catalog
       owner "${emulator.servicePrincipal.clientId}"`,
    );

    await expect(lakebase.getClient('catalog')).resolves.toBeDefined();
  });

  it('survives a server that goes away in the middle of it', async () => {
    const emulator = await start.emulator();
    // The first CREATE SCHEMA ends its own session; a sequence remembers that.
    await emulator.query(
      `create sequence creations;
       grant usage on sequence creations to public;
       create function end_first() returns event_trigger language plpgsql as $$
         begin
           if nextval('public.creations') = 1 then
             perform pg_terminate_backend(pg_backend_pid());
           end if;
         end $$;
       create event trigger end_first on ddl_command_start
         when tag in ('CREATE SCHEMA') execute function end_first()`,
    );
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
    });

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.gateway.logins).toHaveLength(2);
  });

  it('keeps the client string pg, which plugins ask for', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator);

    const knex = await lakebase.getClient('catalog');

    const { config } = knex.client as { config: Knex.Config };
    expect(config.client).toBe('pg');
    expect(config).not.toHaveProperty('lakebase');
    expect(config).not.toHaveProperty('plugin');
  });
});
