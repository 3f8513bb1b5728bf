import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();

describe('an app of Databricks Apps', () => {
  it('runs on the endpoint and identity that are injected, with an empty block', async () => {
    const emulator = await start.emulator();
    const { clientId, clientSecret } = emulator.servicePrincipal;
    const lakebase = start.lakebase(
      emulator,
      {
        pluginDivisionMode: 'schema',
        lakebase: { endpoint: null, workspace: null },
      },
      {
        env: {
          DATABRICKS_HOST: emulator.controlPlane.url,
          DATABRICKS_CLIENT_ID: clientId,
          DATABRICKS_CLIENT_SECRET: clientSecret,
          LAKEBASE_ENDPOINT: emulator.endpoint,
          // These say the same for one database, or less: PGSSLMODE does not
          // verify the server.
          PGHOST: 'ep-other.invalid',
          PGPORT: '1',
          PGDATABASE: 'other',
          PGUSER: clientId,
          PGSSLMODE: 'require',
        },
      },
    );

    const knex = await lakebase.getClient('catalog');

    await expect(
      knex.raw('select current_user as "user", current_database() as name'),
    ).resolves.toMatchObject({
      rows: [{ user: clientId, name: 'databricks_postgres' }],
    });
    expect(emulator.gateway.refusals).toEqual([]);
  });
});
