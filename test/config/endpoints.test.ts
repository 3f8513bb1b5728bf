import type { JsonObject } from '@backstage/types';
import { checkAtStart, ENV, catchRefusal } from '../support/appConfig';

const OTHER = 'projects/other/branches/main/endpoints/primary';

const workspace = {
  host: 'https://other.cloud.databricks.com',
  clientId: 'other-id',
  clientSecret: 'other-secret',
};

/** Endpoint, client id, and who is on it. */
const summary = (database: JsonObject, env?: Record<string, undefined>) =>
  checkAtStart(database, env).endpoints.map(
    ({ endpoint, clientId, base, plugins }) => [
      endpoint.value,
      clientId,
      ...(base ? ['base'] : []),
      ...plugins,
    ],
  );

const ofPlugin = (lakebase: JsonObject | false, rest: JsonObject = {}) => ({
  plugin: { catalog: { lakebase, ...rest } },
});

const connectionOf = (database: JsonObject, pluginId = 'catalog') =>
  checkAtStart(database).forPlugin(pluginId)!.database.connection;

describe('the endpoints of a configuration', () => {
  it('are one when no plugin has another', () => {
    const plugin = { search: { connection: { database: 'own' } } };

    expect(summary({ plugin })).toEqual([
      [ENV.LAKEBASE_ENDPOINT, 'env-id', 'base', 'search'],
    ]);
  });

  it('are two when a plugin has an endpoint of its own', () => {
    expect(summary(ofPlugin({ endpoint: OTHER }))).toEqual([
      [ENV.LAKEBASE_ENDPOINT, 'env-id', 'base'],
      [OTHER, 'env-id', 'catalog'],
    ]);
  });

  it('are two when a plugin has an identity of its own', () => {
    expect(summary(ofPlugin({ workspace }))).toEqual([
      [ENV.LAKEBASE_ENDPOINT, 'env-id', 'base'],
      [ENV.LAKEBASE_ENDPOINT, 'other-id', 'catalog'],
    ]);
  });

  it('are shared by plugins that say the same', () => {
    const own = { lakebase: { endpoint: OTHER } };
    const plugin = { catalog: own, search: own };

    expect(summary({ plugin })).toEqual([
      [ENV.LAKEBASE_ENDPOINT, 'env-id', 'base'],
      [OTHER, 'env-id', 'catalog', 'search'],
    ]);
  });

  it('take a workspace of a plugin as a whole', () => {
    const lakebase = { workspace: { clientId: 'a', clientSecret: 'b' } };
    const database = {
      lakebase,
      ...ofPlugin({ workspace: { host: ENV.DATABRICKS_HOST } }),
    };

    expect(summary(database)).toEqual([
      [ENV.LAKEBASE_ENDPOINT, 'a', 'base'],
      [ENV.LAKEBASE_ENDPOINT, 'env-id', 'catalog'],
    ]);
  });

  it('are those of single plugins without a block for all', () => {
    const database = { lakebase: null, ...ofPlugin({ endpoint: OTHER }) };

    expect(summary(database)).toEqual([[OTHER, 'env-id', 'catalog']]);
  });

  it.each([
    ['false', ofPlugin(false)],
    ['another client', ofPlugin({ endpoint: OTHER }, { client: 'sqlite3' })],
  ])('are none for a plugin with %s', (_, database) => {
    expect(summary(database)).toEqual([
      [ENV.LAKEBASE_ENDPOINT, 'env-id', 'base'],
    ]);
    expect(summary({ lakebase: null, ...database })).toEqual([]);
  });

  it('need nothing at all when no plugin is on Postgres', () => {
    const env = {
      DATABRICKS_HOST: undefined,
      DATABRICKS_CLIENT_ID: undefined,
    };

    expect(summary({ client: 'better-sqlite3' }, env)).toEqual([]);
  });

  it.each([
    [{ endpoint: 'x' }, 'endpoint is not the name of an endpoint'],
    [{ workspace: { host: 'http://x.com' } }, 'workspace.host must start with'],
    [{ workspace: { clientId: 'x' } }, 'workspace.clientSecret is missing'],
  ])('name the key of the plugin when it says %j', (own, message) => {
    expect(catchRefusal(() => checkAtStart(ofPlugin(own)))).toContain(
      `backend.database.plugin.catalog.lakebase.${message}`,
    );
  });
});

describe('a plugin with an endpoint of its own', () => {
  const connection = {
    host: 'base.example.com',
    port: 6000,
    user: 'base-user',
    statement_timeout: 5000,
    ssl: { ca: '-----BEGIN CERTIFICATE-----', servername: 'base.internal' },
  };
  const own = { endpoint: OTHER };

  it('inherits what does not belong to the other server', () => {
    expect(connectionOf({ connection, ...ofPlugin(own) })).toEqual({
      application_name: 'backstage_plugin_catalog',
      database: 'backstage_plugin_catalog',
      keepAlive: true,
      keepAliveInitialDelayMillis: 30_000,
      port: 5432,
      ssl: { ca: '-----BEGIN CERTIFICATE-----', rejectUnauthorized: true },
      statement_timeout: 5000,
    });
  });

  it('takes what it says itself', () => {
    const said = { host: 'own.example.com', port: 7000, user: 'own-user' };
    const database = { connection, ...ofPlugin(own, { connection: said }) };

    expect(connectionOf(database)).toMatchObject(said);
  });

  it('leaves the other plugins alone', () => {
    expect(
      connectionOf({ connection, ...ofPlugin(own) }, 'search'),
    ).toMatchObject(connection);
  });

  it('inherits the host when only the identity is its own', () => {
    const inherited = connectionOf({ connection, ...ofPlugin({ workspace }) });

    expect(inherited).toMatchObject({ host: connection.host, port: 6000 });
    expect(inherited.user).toBeUndefined();
  });

  it('inherits no connection of another database system', () => {
    const elsewhere = { ...connection, type: 'rds', password: 'dose-canary' };
    const base = { lakebase: null, connection: elsewhere };

    expect(connectionOf({ ...base, ...ofPlugin(own) })).toEqual({
      application_name: 'backstage_plugin_catalog',
      database: 'backstage_plugin_catalog',
      keepAlive: true,
      keepAliveInitialDelayMillis: 30_000,
      port: 5432,
      ssl: { rejectUnauthorized: true },
    });
  });
});
