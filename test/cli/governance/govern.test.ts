import { dirname, join } from 'node:path';
import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import type { Client } from 'pg';
import type { Emulator, ServicePrincipal } from '../../../emulator';
import { logIn, mint } from '../../emulator/clients';
import { lakebaseTests } from '../../support/lakebase';
import { copyablePostgres } from '../../support/copyablePostgres';
import { commandLine, configFiles } from '../commandLine';
import { nameOf, PRODUCTION } from '../portal';

const start = lakebaseTests();
const files = configFiles();
const copyable = copyablePostgres();

interface Told {
  registrations: { catalog: string; path: string; body: object }[];
  schemas: {
    schema: string;
    plugin: string;
    readable: boolean;
    why: string;
    unknown: string[];
  }[];
  grants: string[];
  obstacle?: string;
}

interface Governed {
  emulator: Emulator;
  knexOf(pluginId: string): Promise<Knex>;
  run(...args: string[]): ReturnType<typeof commandLine>;
  told(...args: string[]): Promise<Told>;
  /** Runs what a registration says, as the CLI of the platform would. */
  register(registration: Told['registrations'][0]): Promise<number>;
}

async function portal(
  settings: JsonObject = { pluginDivisionMode: 'schema' },
): Promise<Governed> {
  const emulator = await start.emulator(copyable());
  const lakebase = start.lakebase(emulator, settings);
  const config = await files.leadingTo(emulator, settings);
  const { controlPlane, servicePrincipal } = emulator;
  const run = (...args: string[]) =>
    commandLine([...args, '--config', config], {
      interrupted: new AbortController().signal,
    });
  return {
    emulator,
    knexOf: id => lakebase.getClient(id),
    run,
    told: async (...args) => {
      const { stdout, stderr } = await run('govern', '--json', ...args);
      if (!stdout) throw new Error(stderr);
      return JSON.parse(stdout) as Told;
    },
    register: async ({ path, body }) => {
      const token = controlPlane.issueWorkspaceToken(servicePrincipal.clientId);
      const reply = await fetch(controlPlane.url + path, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify(body),
      });
      return reply.status;
    },
  };
}

const migrationsOf = (name: string) =>
  join(dirname(require.resolve(`${name}/package.json`)), 'migrations');

const ENTITY = {
  kind: 'Component',
  metadata: {
    name: 'Shop',
    uid: 'u-1',
    annotations: { 'backstage.io/source-location': 'url:https://x' },
    labels: { tier: '1' },
    tags: ['java', 'web'],
  },
  spec: { type: 'service', lifecycle: 'production', owner: 'team-a' },
  relations: [
    { type: 'ownedBy', targetRef: 'group:default/team-a' },
    { type: 'partOf', targetRef: 'system:default/sales' },
  ],
};

/** Real tables of the catalog, with two entities, and a session. */
async function fill({ knexOf }: Governed): Promise<Knex> {
  const catalog = await knexOf('catalog');
  await catalog.migrate.latest({
    directory: migrationsOf('@backstage/plugin-catalog-backend'),
  });
  const entities = [
    ENTITY,
    // Tags that are no list, and nothing else.
    { kind: 'API', metadata: { name: 'orders', namespace: 'b', tags: 'x' } },
  ];
  for (const [index, entity] of entities.entries()) {
    const entity_id = `id-${index}`;
    const ref = `ref-${index}`;
    await catalog.raw(
      `INSERT INTO refresh_state (entity_id, entity_ref, unprocessed_entity, errors, next_update_at, last_discovery_at)
       VALUES (?, ?, '{}', '[]', now(), now())`,
      [entity_id, ref],
    );
    await catalog.raw(
      `INSERT INTO final_entities (entity_id, entity_ref, hash, final_entity)
       VALUES (?, ?, '', ?)`,
      [entity_id, ref, JSON.stringify(entity)],
    );
  }
  const auth = await knexOf('auth');
  await auth.raw('CREATE TABLE sessions (id text)');
  await auth.raw(`INSERT INTO sessions VALUES ('secret')`);
  return catalog;
}

describe('govern', () => {
  it('registers the one database, once, and not that of a copy', async () => {
    const governed = await portal();
    await fill(governed);
    const { told, register, run } = governed;
    await run('branch', 'create', 'early', '--no-scrub', '--out', '/dev/null');

    const { registrations } = await told();

    expect(registrations).toEqual([
      {
        catalog: 'lakebase_bs',
        database: 'databricks_postgres',
        path: '/api/2.0/postgres/catalogs?catalog_id=lakebase_bs',
        body: {
          spec: {
            postgres_database: 'databricks_postgres',
            branch: PRODUCTION,
            create_database_if_missing: false,
          },
        },
      },
    ]);
    expect(await register(registrations[0])).toBe(200);
    expect(await register(registrations[0])).toBe(409);
    await run('branch', 'create', 'late', '--no-scrub', '--out', '/dev/null');
    const onBranch = (id: string) => ({
      ...registrations[0],
      path: `/api/2.0/postgres/catalogs?catalog_id=${id}`,
      body: {
        spec: {
          ...(registrations[0].body as { spec: object }).spec,
          branch: nameOf(id),
        },
      },
    });
    expect(await register(onBranch('late'))).toBe(400);
    expect(await register(onBranch('early'))).toBe(200);
  });

  it('warns on a copy, which cannot be registered', async () => {
    const governed = await portal({
      pluginDivisionMode: 'schema',
      lakebase: { endpoint: nameOf('copy') },
    });
    const { told, emulator } = governed;
    emulator.controlPlane.catalog.addBranch(nameOf('copy'), {
      source: PRODUCTION,
    });

    expect((await told()).obstacle).toMatch(/copy of .*production.*inherited/);
  });

  it('grants schema by schema, and tells why not', async () => {
    const governed = await portal();
    await fill(governed);
    const { knexOf, told, run } = governed;
    const acme = await knexOf('acme');
    await acme.raw('CREATE TABLE things (id text)');
    const catalog = await knexOf('catalog');
    await catalog.raw('CREATE TABLE ingestions (id text)');

    const { grants, schemas } = await told('--group', 'Data `team`');
    const { stdout } = await run('govern', '--group', 'analysts');

    expect(grants).toEqual([
      'GRANT USE CATALOG ON CATALOG `lakebase_bs` TO `Data ``team```;',
      'GRANT USE SCHEMA, SELECT ON SCHEMA `lakebase_bs`.`catalog` TO `Data ``team```;',
    ]);
    const ofPlugin = (id: string) => schemas.find(it => it.plugin === id);
    expect(ofPlugin('auth')).toMatchObject({
      readable: false,
      why: expect.stringMatching(/keys that sign tokens/) as string,
    });
    expect(ofPlugin('acme')).toMatchObject({
      readable: false,
      why: expect.stringMatching(/nobody has looked/) as string,
    });
    expect(ofPlugin('catalog')?.unknown).toEqual(['ingestions']);
    expect(stdout).toMatch(/Look at these first.*: catalog\.ingestions/);
    expect(stdout).toMatch(/Never grant on the whole/);
    expect(stdout).toMatch(/ - auth: keys that sign tokens/);
    expect(stdout).toMatch(/do not reach a login on port 5432/);
  });

  it('makes a catalog of each database that may be read', async () => {
    const governed = await portal({ pluginDivisionMode: 'database' });
    await fill(governed);

    const { registrations, grants } = await governed.told('--group', 'g');
    const { stdout } = await governed.run('govern');

    expect(registrations.map(({ catalog }) => catalog)).toEqual([
      'lakebase_bs_catalog',
    ]);
    expect(await governed.register(registrations[0])).toBe(200);
    expect(grants).toContain(
      'GRANT USE SCHEMA, SELECT ON SCHEMA `lakebase_bs_catalog`.`public` TO `g`;',
    );
    expect(stdout).toMatch(/Each plugin has a database of its own here/);
    expect(stdout).toMatch(/Not to be registered:\n# {2}- auth:/);
  });

  it('changes nothing', async () => {
    const governed = await portal();
    await fill(governed);
    const { emulator, run } = governed;
    const before = emulator.controlPlane.calls.length;

    await run('govern', '--group', 'g');
    await run('govern', '--views');

    const changing = emulator.controlPlane.calls
      .slice(before)
      .filter(({ method }) => method !== 'GET')
      .map(({ route }) => route);
    expect(new Set(changing)).toEqual(new Set(['token', 'credentials']));
    expect(
      await emulator.query(
        `SELECT FROM pg_namespace WHERE nspname = 'backstage_views'`,
        [],
        'databricks_postgres',
      ),
    ).toEqual([]);
  });

  it.each([
    [['--catalog', 'a-b'], /--catalog 'a-b' is no name of a catalog/],
    [['--group', ''], /--group is empty/],
  ])('refuses %j', async (args, text) => {
    const { run } = await portal();

    const { exitCode, stderr } = await run('govern', ...args);

    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: expect.stringMatching(text) as string,
    });
  });

  it('says where nothing has started yet', async () => {
    const { run } = await portal();

    expect((await run('govern')).stdout).toMatch(/nothing to register/);
  });
});

describe('the views', () => {
  const clients: Client[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.end()));
  });

  const logInAs = async (
    { governed, database }: { governed: Governed; database: string },
    principal: ServicePrincipal,
  ) => {
    const client = await logIn(governed.emulator, {
      user: principal.clientId,
      password: await mint(governed.emulator, principal),
      database,
    });
    clients.push(client);
    return async (sql: string) =>
      (await client.query<Record<string, unknown>>(sql)).rows;
  };

  /** Made as the printed SQL says, for somebody who has nothing else. */
  async function withViews(settings?: JsonObject) {
    const governed = await portal(settings);
    const catalog = await fill(governed);
    const { emulator, run } = governed;
    const reader = await emulator.addServicePrincipal();
    const { clientId: user } = reader;
    const { stdout } = await run('govern', '--views', '--group', user);
    await catalog.raw(stdout);
    const { rows } = await catalog.raw<{ rows: { name: string }[] }>(
      'SELECT current_database() AS name',
    );
    const place = { governed, database: rows[0].name };
    const read = await logInAs(place, reader);
    return { ...governed, place, catalog, sql: stdout, read };
  }

  const all = (view: string) =>
    `SELECT * FROM backstage_views.${view} ORDER BY 1, 2`;

  it.each([
    { pluginDivisionMode: 'schema' },
    { pluginDivisionMode: 'database' },
  ])(
    'are all that somebody can read who has only them (%j)',
    async settings => {
      const { read } = await withViews(settings);
      const schema =
        settings.pluginDivisionMode === 'schema' ? 'catalog' : 'public';

      expect(await read(all('entities'))).toEqual([
        expect.objectContaining({
          entity_ref: 'api:b/orders',
          kind: 'API',
          owner: null,
        }),
        expect.objectContaining({
          entity_ref: 'component:default/shop',
          name: 'Shop',
          type: 'service',
          lifecycle: 'production',
          owner: 'group:default/team-a',
          system: 'system:default/sales',
        }),
      ]);
      expect(await read(all('entity_relations'))).toHaveLength(2);
      expect(await read(all('entity_annotations'))).toEqual([
        {
          entity_ref: 'component:default/shop',
          name: 'backstage.io/source-location',
          value: 'url:https://x',
        },
      ]);
      expect(await read(all('entity_labels'))).toHaveLength(1);
      const tags = await read(all('entity_tags'));
      expect(tags.map(({ tag }) => tag)).toEqual(['java', 'web']);
      for (const table of [
        `${schema}.final_entities`,
        `${schema}.refresh_state`,
        ...(schema === 'catalog' ? ['auth.sessions'] : []),
      ]) {
        await expect(read(`SELECT * FROM ${table}`)).rejects.toThrow(
          /permission denied/,
        );
      }
    },
  );

  it('are the same when they are made twice', async () => {
    const { catalog, sql, read } = await withViews();

    await catalog.raw(sql);

    expect(await read(all('entities'))).toHaveLength(2);
  });

  it('are for nobody who was not granted them', async () => {
    const { emulator, place } = await withViews();
    const read = await logInAs(place, await emulator.addServicePrincipal());

    await expect(
      read('SELECT * FROM backstage_views.read_entities()'),
    ).rejects.toThrow(/permission denied/);
  });

  it('keep no migration from changing the tables', async () => {
    const { catalog, read } = await withViews();

    await catalog.raw(
      'ALTER TABLE final_entities RENAME final_entity TO entity',
    );

    await expect(read(all('entities'))).rejects.toThrow(/final_entity/);
  });

  it('are granted once they are there', async () => {
    const { told } = await withViews();

    expect((await told('--group', 'g')).grants).toContain(
      'GRANT USE SCHEMA, SELECT ON SCHEMA `lakebase_bs`.`backstage_views` TO `g`;',
    );
  });
});
