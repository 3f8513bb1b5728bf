import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import {
  databaseConfig,
  startPostgresProcess,
  type Emulator,
  type PostgresServer,
} from '../emulator';
import { lakebaseTests } from './support/lakebase';

const start = lakebaseTests();

/** The block and the connection that lead one plugin to this emulator. */
function leadingTo(emulator: Emulator) {
  const { connection, lakebase } = databaseConfig(emulator);
  return { connection, lakebase };
}

const mints = ({ controlPlane }: Emulator) => controlPlane.count('credentials');

async function whereItIs(knex: Knex) {
  const { rows } = await knex.raw<{ rows: JsonObject[] }>(
    'select current_user as "user", current_database() as database, inet_server_port() as port',
  );
  return rows[0];
}

describe('a plugin with an endpoint of its own', () => {
  let elsewhere: PostgresServer;
  let base: Emulator;
  let other: Emulator;

  beforeAll(async () => {
    elsewhere = await startPostgresProcess();
  });

  afterAll(async () => {
    await elsewhere.stop();
  });

  beforeEach(async () => {
    base = await start.emulator();
    other = await start.emulator({ postgres: elsewhere });
  });

  it('has its database there, and the others have theirs where they were', async () => {
    const lakebase = start.lakebase(base, {
      plugin: { catalog: leadingTo(other) },
    });

    const [catalog, search] = await Promise.all([
      lakebase.getClient('catalog'),
      lakebase.getClient('search'),
    ]);

    await expect(whereItIs(catalog)).resolves.toEqual({
      user: other.servicePrincipal.clientId,
      database: 'backstage_plugin_catalog',
      port: elsewhere.port,
    });
    await expect(whereItIs(search)).resolves.toMatchObject({
      user: base.servicePrincipal.clientId,
      database: 'backstage_plugin_search',
    });
    expect([mints(base), mints(other)]).toEqual([1, 1]);
  });

  it('logs in with its own identity when the host is the same', async () => {
    const principal = await base.addServicePrincipal({
      role: { attributes: 'CREATEDB' },
    });
    const { workspace } = databaseConfig(base).lakebase;
    const lakebase = start.lakebase(base, {
      plugin: {
        catalog: { lakebase: { workspace: { ...workspace, ...principal } } },
      },
    });

    const [catalog, search] = await Promise.all([
      lakebase.getClient('catalog'),
      lakebase.getClient('search'),
    ]);

    await expect(whereItIs(catalog)).resolves.toMatchObject({
      user: principal.clientId,
    });
    await expect(whereItIs(search)).resolves.toMatchObject({
      user: base.servicePrincipal.clientId,
    });
    expect(mints(base)).toBe(2);
  });

  it('shares the credential of a plugin with the same', async () => {
    const lakebase = start.lakebase(base, {
      plugin: { catalog: leadingTo(other), search: leadingTo(other) },
    });

    await Promise.all([
      lakebase.getClient('catalog'),
      lakebase.getClient('search'),
    ]);

    expect([mints(base), mints(other)]).toEqual([0, 1]);
  });

  it('goes on while the others get no credential', async () => {
    base.controlPlane.answer('credentials', { status: 403 });
    const lakebase = start.lakebase(base, {
      plugin: { catalog: leadingTo(other) },
    });

    const search = lakebase.getClient('search');
    const catalog = await lakebase.getClient('catalog');

    await expect(search).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(catalog.raw('select 1')).resolves.toBeDefined();
  });

  it('is told of at start, with where each of its settings came from', async () => {
    const lakebase = start.lakebase(base, {
      plugin: { catalog: leadingTo(other) },
    });
    await Promise.all([
      lakebase.getClient('catalog'),
      lakebase.getClient('search'),
    ]);

    await lakebase.announce();

    const said = lakebase.lines.filter(({ level }) => level === 'info');
    expect(said.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^Lakebase is the database of the plugins, one/),
      expect.stringMatching(/^Lakebase is the database of catalog, one/),
    ]);
    const [, ofCatalog] = said;
    expect(ofCatalog.message).toContain(
      'backend.database.plugin.catalog.lakebase.endpoint',
    );
    expect(ofCatalog.message).toContain(other.controlPlane.url);
  });

  it('closes its connections at shutdown', async () => {
    const lakebase = start.lakebase(base, {
      plugin: { catalog: leadingTo(other) },
    });
    const catalog = await lakebase.getClient('catalog');

    await lakebase.stop();
    await other.gateway.drained();

    await expect(catalog.raw('select 1')).rejects.toMatchObject({
      code: 'stopped',
    });
  });

  it('says which key is wrong', async () => {
    const { connection, lakebase: block } = leadingTo(other);
    const endpoint = 'projects/backstage/branches/gone/endpoints/primary';
    const lakebase = start.lakebase(base, {
      plugin: { catalog: { connection, lakebase: { ...block, endpoint } } },
    });

    await expect(lakebase.getClient('catalog')).rejects.toThrow(
      `Check backend.database.plugin.catalog.lakebase.endpoint (${endpoint})`,
    );
  });
});
