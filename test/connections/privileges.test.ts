import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import { type Client, DatabaseError } from 'pg';
import type { Emulator } from '../../emulator';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();

const DATABASE = 'databricks_postgres';
const DEVELOPER = 'First.Last@Example.com';
const ADMIN = 'platform_admin';
const OWNER = 'Backstage "Owners"';

const quoted = (name: string) => `"${name.replace(/"/g, '""')}"`;
const owner = quoted(OWNER);

const inSchemas = { pluginDivisionMode: 'schema' };
const MODES: [mode: string, settings: JsonObject, database: string][] = [
  ['database', {}, 'backstage_plugin_catalog'],
  ['schema', inSchemas, DATABASE],
];

const quoteLogin = (emulator: Emulator) =>
  quoted(emulator.servicePrincipal.clientId);

/** Everybody else: a developer, a role that owns, and who is in both. */
async function createRoles(emulator: Emulator) {
  const login = quoteLogin(emulator);
  for (const name of [DEVELOPER, ADMIN, OWNER]) await emulator.createRole(name);
  await emulator.query(
    `alter role ${owner} nologin createdb;
     grant ${owner} to ${login}, ${quoted(DEVELOPER)};
     grant ${login}, ${quoted(DEVELOPER)} to ${ADMIN}`,
  );
}

/** The statements that an error names, up to its end or its cause. */
const cureIn = ({ message }: Error) =>
  /\brun [^:]*: (.+?;)(?=; caused by|$)/is.exec(message)?.[1];

/** Runs exactly what the error names, where it says. */
async function paste(emulator: Emulator, error: Error, as?: string) {
  const database = /run in database "([^"]+)"/i.exec(error.message)?.[1];
  const login = as ? `set session authorization ${quoted(as)};` : '';
  await emulator.query(`${login} ${cureIn(error)}`, [], database ?? DATABASE);
}

type Migration = (knex: Knex) => PromiseLike<unknown>;

const migrate = (knex: Knex, ...steps: Migration[]) =>
  knex.migrate.latest({
    migrationSource: {
      getMigrations: () => Promise.resolve(steps),
      getMigrationName: (step: Migration) => `step ${steps.indexOf(step) + 1}`,
      getMigration: (up: Migration) =>
        Promise.resolve({ up, down: () => Promise.resolve() }),
    },
  });

const catchFailure = async (work: PromiseLike<unknown>): Promise<Error> => {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error('Nothing was refused');
};

describe('a right that is missing while connecting', () => {
  const asOwner = { ...inSchemas, role: OWNER };
  type Row = [string, JsonObject, (login: string) => string];

  it.each<Row>([
    [
      'to connect',
      inSchemas,
      login =>
        `revoke connect on database ${DATABASE} from public, ${login}, ${owner}`,
    ],
    [
      'to connect, without inheriting it from the role',
      asOwner,
      login =>
        `revoke connect on database ${DATABASE} from public, ${login};
         grant ${owner} to ${login} with inherit false`,
    ],
    [
      'to create a schema',
      inSchemas,
      login => `revoke create on database ${DATABASE} from ${login}, ${owner}`,
    ],
    [
      'to create a schema as the role',
      asOwner,
      () => `revoke create on database ${DATABASE} from ${owner}`,
    ],
    ['to create a database', {}, login => `alter role ${login} nocreatedb`],
    [
      'to create a database as the role',
      { role: OWNER },
      () => `alter role ${owner} nocreatedb`,
    ],
    ['to become the role', asOwner, login => `revoke ${owner} from ${login}`],
    [
      'to become the role, as a member without SET',
      asOwner,
      login => `grant ${owner} to ${login} with set false`,
    ],
  ])(
    'is given by the statement in the error: %s',
    async (_, settings, take) => {
      const emulator = await start.emulator();
      await createRoles(emulator);
      await emulator.query(take(quoteLogin(emulator)));
      const lakebase = start.lakebase(emulator, settings);

      const failure = await catchFailure(lakebase.getClient('catalog'));
      await paste(emulator, failure);

      expect(failure).toMatchObject({ code: 'grant-missing' });
      expect(failure.message.split(cureIn(failure)!)).toHaveLength(2);
      await expect(lakebase.getClient('catalog')).resolves.toBeDefined();
    },
  );

  it('comes with a role that does not exist yet', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, asOwner);

    const failure = await catchFailure(lakebase.getClient('catalog'));
    await paste(emulator, failure);
    // So that the emulator takes it away again.
    await emulator.query(
      `comment on role ${owner} is 'made by the Lakebase emulator'`,
    );

    await expect(lakebase.getClient('catalog')).resolves.toBeDefined();
  });
});

/** A plugin's schema that a developer has filled. */
async function developersCatalog(emulator: Emulator) {
  const login = quoteLogin(emulator);
  await createRoles(emulator);
  await emulator.query(
    `create schema catalog authorization ${quoted(DEVELOPER)};
     create schema extra authorization ${quoted(DEVELOPER)};
     grant usage, create on schema catalog, extra to ${login};
     set role ${quoted(DEVELOPER)};
     set search_path to catalog;
     create table entities (id serial primary key, name text);
     create index entities_name on entities (name);
     create view names as select name from entities;
     create function one() returns int language sql as 'select 1';
     create function extra.two() returns int language sql as 'select 1';
     create type kind as enum ('a');
     create statistics pairs on id, name from entities`,
  );
  return start.lakebase(emulator, inSchemas).getClient('catalog');
}

describe('a right that a plugin misses later', () => {
  /** The superuser is undefined, for the emulator has no databricks_superuser. */
  type Row = [sql: string, pasteAs: string | undefined, taken: string];
  const catalog = 'on schema catalog';
  const database = `on database ${DATABASE}`;

  it.each<Row>([
    ['select * from entities', DEVELOPER, ''],
    ['truncate entities', DEVELOPER, ''],
    ['create table child (id int references entities)', DEVELOPER, ''],
    ['select * from names', DEVELOPER, ''],
    [`select setval('entities_id_seq', 7)`, DEVELOPER, ''],
    ['create table t ()', DEVELOPER, `create ${catalog}`],
    ['create table u ()', DEVELOPER, `all ${catalog}`],
    ['select * from catalog.names', DEVELOPER, `all ${catalog}`],
    ['create schema other', undefined, `create ${database}`],
    ['create temp table t ()', undefined, `temporary ${database}`],
    ['create extension pg_trgm', undefined, `create ${database}`],
    ['create extension if not exists pageinspect', undefined, ''],
    ['alter table entities add kind text', ADMIN, ''],
    [`comment on column entities.name is 'of whom'`, ADMIN, ''],
    ['drop index entities_name', ADMIN, ''],
    ['drop function one()', ADMIN, ''],
    ['drop function extra.two()', ADMIN, ''],
    [`alter type kind add value 'b'`, ADMIN, ''],
    ['drop statistics pairs', ADMIN, ''],
    ['alter schema catalog rename to catalogue', ADMIN, ''],
  ])('is given by the statement in the error: %s', async (sql, as, taken) => {
    const emulator = await start.emulator();
    const knex = await developersCatalog(emulator);
    if (taken) {
      await emulator.query(
        `revoke ${taken} from public, ${quoteLogin(emulator)}, ${owner}`,
      );
    }

    const failure = await catchFailure(knex.raw(sql));
    await paste(emulator, failure, as);

    await knex.raw(sql);
  });

  it('is given for everything that the owner has and will make', async () => {
    const emulator = await start.emulator();
    const knex = await developersCatalog(emulator);

    await paste(emulator, await catchFailure(knex('entities')), DEVELOPER);
    await emulator.query(
      `set role ${quoted(DEVELOPER)};
       create table catalog.later (id serial, name text)`,
    );

    await knex('entities').insert({ name: 'a' });
    await knex('later').insert({ name: 'b' });
    await expect(knex('later').select('name')).resolves.toEqual([
      { name: 'b' },
    ]);
  });

  it('keeps the error as it was, but for the end of its message', async () => {
    const emulator = await start.emulator();
    const knex = await developersCatalog(emulator);
    const name = 'must be owner of table spoof';

    const failure = await catchFailure(knex('entities').insert({ name }));

    expect(failure).toBeInstanceOf(DatabaseError);
    expect(failure).toMatchObject({ code: '42501', routine: 'aclcheck_error' });
    expect(failure.stack).toContain('permission denied for table entities');
    const [, added] = failure.message.split('for table entities. ');
    expect(added).toMatch(/^"[^"]+" lacks rights in schema "catalog"\. Run /);
    expect(added).not.toContain('spoof');
  });

  it.each([
    ['select nothing from entities', '42703'],
    ['set log_min_messages to debug1', '42501'],
    ['select * from pg_authid', '42501'],
  ])('leaves errors without a cure alone: %s', async (sql, code) => {
    const emulator = await start.emulator();
    const knex = await developersCatalog(emulator);

    const failure = await catchFailure(knex.raw(sql));

    expect(failure).toMatchObject({ code });
    expect(cureIn(failure)).toBeUndefined();
  });

  const alter = 'alter table entities add kind text';
  const addKind = (knex: Knex) => knex.raw(alter);

  it.each<[string, (knex: Knex) => Promise<unknown>]>([
    ['a transaction', knex => knex.transaction(addKind)],
    [
      'a savepoint',
      knex => knex.transaction(outer => outer.transaction(addKind)),
    ],
    ['a migration', knex => migrate(knex, addKind)],
    [
      'a raw connection',
      async knex => {
        const client = knex.client as {
          acquireRawConnection(): Promise<Client>;
          destroyRawConnection(connection: Client): Promise<void>;
        };
        const connection = await client.acquireRawConnection();
        try {
          // With a callback, which sees the error before a promise would.
          await new Promise<void>((resolve, reject) => {
            connection.query(alter, (error: Error | null) =>
              error ? reject(new Error(error.message)) : resolve(),
            );
          });
        } finally {
          await client.destroyRawConnection(connection);
        }
      },
    ],
  ])('is named once in %s, too', async (_, work) => {
    const emulator = await start.emulator();
    const knex = await developersCatalog(emulator);

    const failure = await catchFailure(work(knex));
    await paste(emulator, failure, ADMIN);

    expect(failure.message.match(/REASSIGN OWNED/g)).toHaveLength(1);
    await expect(work(knex)).resolves.not.toThrow();
  });
});

const STEPS: Migration[] = [
  async knex => {
    await knex.schema.createTable('entities', table => {
      table.increments();
      table.text('name');
    });
    await knex.schema.createTable('relations', table => {
      table.integer('source').references('entities.id');
    });
  },
  knex =>
    knex.schema.alterTable('entities', table => table.text('kind').index()),
  async knex => {
    await knex.schema.dropTable('relations');
    await knex.schema.alterTable('entities', table => table.dropColumn('kind'));
  },
];

/** One backend's life: it starts, migrates, works, and stops. */
async function runOnce(
  emulator: Emulator,
  settings: JsonObject,
  steps: number,
) {
  const lakebase = start.lakebase(emulator, settings);
  try {
    const knex = await lakebase.getClient('catalog');
    await migrate(knex, ...STEPS.slice(0, steps));
    await knex('entities').insert({ name: `after step ${steps}` });
  } finally {
    await lakebase.stop();
  }
}

/** Who owns what is in a database, and the database itself. */
const ownersIn = (emulator: Emulator, database: string) =>
  emulator.query(
    `select distinct pg_get_userbyid(refobjid) as owner
     from pg_shdepend, pg_database
     where datname = current_database() and deptype = 'o'
       and classid <> 'pg_default_acl'::regclass
       and (dbid = oid or classid = 'pg_database'::regclass and objid = oid)`,
    [],
    database,
  );

/** Runs the work, and pastes cures for as long as errors name new ones. */
async function untilCured(emulator: Emulator, work: () => Promise<void>) {
  const pasted = new Set<string>();
  for (;;) {
    try {
      await work();
      return [...pasted];
    } catch (error) {
      const cure = cureIn(error as Error);
      if (!cure || pasted.has(cure)) throw error;
      pasted.add(cure);
      await paste(emulator, error as Error, ADMIN);
    }
  }
}

describe.each(MODES)('two logins, one %s per plugin', (_, mode, database) => {
  const shared = { ...mode, role: OWNER };

  /** The configuration of another login than the service principal's. */
  async function colleague(emulator: Emulator) {
    const principal = await emulator.addServicePrincipal({
      role: { attributes: 'CREATEDB' },
    });
    const login = quoted(principal.clientId);
    await emulator.query(
      `grant ${owner} to ${login}; grant ${login}, ${owner} to ${ADMIN}`,
    );
    return { lakebase: { workspace: { ...principal } } };
  }

  it('migrate in turns with a role that owns everything', async () => {
    const emulator = await start.emulator();
    await createRoles(emulator);
    const other = await colleague(emulator);

    await runOnce(emulator, { ...shared, ...other }, 1);
    await runOnce(emulator, shared, 2);
    await runOnce(emulator, { ...shared, ...other }, 3);

    await expect(ownersIn(emulator, database)).resolves.toEqual([
      { owner: OWNER },
    ]);
  });

  it('hand over to the role what was made without it', async () => {
    const emulator = await start.emulator();
    await createRoles(emulator);
    const other = await colleague(emulator);
    await runOnce(emulator, { ...mode, ...other }, 1);

    const cures = await untilCured(emulator, () =>
      runOnce(emulator, shared, 3),
    );

    expect(cures).toHaveLength(2);
    await expect(ownersIn(emulator, database)).resolves.toEqual([
      { owner: OWNER },
    ]);
  });

  it('are told how to migrate in turns without a role', async () => {
    const emulator = await start.emulator();
    await createRoles(emulator);
    const other = await colleague(emulator);
    await runOnce(emulator, { ...mode, ...other }, 1);

    const cures = [
      await untilCured(emulator, () => runOnce(emulator, mode, 2)),
      await untilCured(emulator, () =>
        runOnce(emulator, { ...mode, ...other }, 3),
      ),
    ];

    const twice = [
      expect.stringMatching(/^GRANT/),
      expect.stringMatching(/^DO .*REASSIGN OWNED/),
    ];
    expect(cures).toEqual([twice, twice]);
  });
});

describe.each(MODES)('a role without CREATE, one %s per plugin', (...row) => {
  const [, mode, database] = row;
  const inDatabase = mode === inSchemas;
  const schema = inDatabase ? 'catalog' : 'public';

  /** What somebody else has made for the plugin. */
  async function prepare(emulator: Emulator, sql: string) {
    const login = quoteLogin(emulator);
    const developer = quoted(DEVELOPER);
    await createRoles(emulator);
    await emulator.query(
      `alter role ${login} nocreatedb;
       alter role ${owner} nocreatedb;
       revoke create on database ${DATABASE} from ${login}, ${owner}`,
    );
    if (inDatabase) {
      await emulator.query(`create schema catalog authorization ${developer}`);
    } else {
      await emulator.query(`create database ${database} owner ${developer}`);
    }
    await emulator.query(sql, [], database);
  }

  it('migrates in what exists', async () => {
    const emulator = await start.emulator();
    await prepare(
      emulator,
      `grant usage, create on schema ${schema} to ${owner}`,
    );

    const life = runOnce(emulator, { ...mode, role: OWNER }, STEPS.length);

    await expect(life).resolves.toBeUndefined();
  });

  it('reads and writes tables with skipMigrations and plain grants', async () => {
    const emulator = await start.emulator();
    const login = quoteLogin(emulator);
    await prepare(
      emulator,
      `create table ${schema}.entities (id serial primary key, name text);
       grant usage on schema ${schema} to ${login};
       grant select, insert, update, delete
         on all tables in schema ${schema} to ${login};
       grant usage on all sequences in schema ${schema} to ${login}`,
    );
    const lakebase = start.lakebase(emulator, {
      ...mode,
      skipMigrations: true,
    });

    const knex = await lakebase.getClient('catalog');
    await knex('entities').insert({ name: 'a' });
    await knex('entities').update({ name: 'b' });

    await expect(knex('entities').pluck('name')).resolves.toEqual(['b']);
  });
});
