import { stringifyError } from '@backstage/errors';
import type { JsonObject } from '@backstage/types';
import type { Emulator } from '../../emulator';
import { cureAfter } from '../support/cureAfter';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();

const DATABASE = 'databricks_postgres';
const OWNER = 'backstage_owner';
const schemaMode = { pluginDivisionMode: 'schema' };

const quoteLogin = ({ servicePrincipal }: Emulator) =>
  `"${servicePrincipal.clientId}"`;

/** What the operator reads of work that is refused. */
async function adviceFrom(
  { servicePrincipal }: Emulator,
  work: PromiseLike<unknown>,
) {
  const said = await work.then(
    () => 'Nothing was refused',
    (error: unknown) => stringifyError(error),
  );
  expect(said).not.toContain(servicePrincipal.clientSecret);
  expect(said).not.toMatch(/eyJ[\w-]{10,}/);
  return said;
}

/** What somebody else than the login has made. */
async function othersTables(emulator: Emulator) {
  const login = quoteLogin(emulator);
  await emulator.createRole(OWNER);
  await emulator.query(
    `create schema catalog authorization ${OWNER};
     grant usage, create on schema catalog to ${login};
     set role ${OWNER};
     create table catalog.entities (id serial primary key)`,
  );
}

describe('a right that is missing while connecting is told at once', () => {
  type Row = [
    refusal: string,
    settings: JsonObject,
    take: (login: string) => string,
    cause: string,
    cure: RegExp,
  ];

  it.each<Row>([
    [
      'permission denied to create database',
      {},
      login => `alter role ${login} nocreatedb`,
      'may not create databases',
      /^Create them ahead .*pluginDivisionMode: schema, .*: ALTER ROLE "[\w-]+" CREATEDB;$/,
    ],
    [
      'permission denied for database databricks_postgres',
      schemaMode,
      login => `revoke create on database ${DATABASE} from ${login}`,
      'lacks rights on database "databricks_postgres"',
      /: GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "databricks_postgres" TO "[\w-]+";$/,
    ],
    [
      'permission denied for database "databricks_postgres"',
      schemaMode,
      login => `revoke connect on database ${DATABASE} from public, ${login}`,
      'may not connect to database "databricks_postgres"',
      /: GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "databricks_postgres" TO "[\w-]+";$/,
    ],
    [
      'permission denied to set role "backstage_owner"',
      { ...schemaMode, role: OWNER },
      () => `create schema catalog authorization ${OWNER}`,
      `may not become "${OWNER}" (backend.database.role)`,
      /: GRANT "backstage_owner" TO "[\w-]+" WITH SET TRUE;$/,
    ],
  ])('%s', async (refusal, settings, take, cause, cure) => {
    const emulator = await start.emulator();
    await emulator.createRole(OWNER);
    await emulator.query(take(quoteLogin(emulator)));
    const lakebase = start.lakebase(emulator, settings);

    const said = await adviceFrom(emulator, lakebase.getClient('catalog'));

    expect(said).toContain(refusal);
    expect(cureAfter(cause, said)).toMatch(cure);
    // Of the plugin's database, and of the one to create it from.
    const { logins, refusals } = emulator.gateway;
    expect(logins.length + refusals.length).toBeLessThanOrEqual(2);
    expect(emulator.controlPlane.count('credentials')).toBe(1);
  });
});

describe('a right that a query lacks is told with it', () => {
  const lacksSchema = 'lacks rights in schema "catalog"';
  const mustOwn = 'must own what it changes';
  const CONTENTS =
    /GRANT SELECT, INSERT, UPDATE, DELETE.* ON ALL TABLES IN SCHEMA "catalog" TO .*ON ALL SEQUENCES .*ALTER DEFAULT PRIVILEGES/;
  const REASSIGN = /^Run in database "databricks_postgres".*REASSIGN OWNED BY/;

  it.each<[sql: string, refusal: string, cause: string, cure: RegExp]>([
    ['table entities', 'permission denied for table', lacksSchema, CONTENTS],
    [
      `select nextval('entities_id_seq')`,
      'permission denied for sequence',
      lacksSchema,
      CONTENTS,
    ],
    [
      'alter table entities add t text',
      'must be owner of table',
      mustOwn,
      REASSIGN,
    ],
    [
      'alter schema catalog rename to c',
      'must be owner of schema',
      mustOwn,
      REASSIGN,
    ],
    [
      'create extension pageinspect',
      'permission denied to create extension',
      'may not create this extension',
      /databricks_superuser: CREATE EXTENSION IF NOT EXISTS "pageinspect"/,
    ],
  ])('%s: %s', async (sql, refusal, cause, cure) => {
    const emulator = await start.emulator();
    await othersTables(emulator);
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');

    const said = await adviceFrom(emulator, knex.raw(sql));

    expect(said).toContain(refusal);
    expect(cureAfter(cause, said)).toMatch(cure);
  });

  it('create table: permission denied for schema public', async () => {
    const emulator = await start.emulator();
    await emulator.createRole(OWNER);
    await emulator.query(
      `create database backstage_plugin_catalog owner ${OWNER}`,
    );
    const lakebase = start.lakebase(emulator);
    const knex = await lakebase.getClient('catalog');

    const said = await adviceFrom(emulator, knex.raw('create table t ()'));

    expect(said).toContain('permission denied for schema public');
    expect(cureAfter('lacks rights in schema "public"', said)).toMatch(
      /GRANT USAGE, CREATE ON SCHEMA "public" TO "[\w-]+";/,
    );
  });
});

describe('what a statement meets besides', () => {
  it('a transaction that only reads leads to the read-write endpoint', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');

    const said = await adviceFrom(
      emulator,
      knex.raw('begin; set transaction read only; create table t (i int)'),
    );

    expect(cureAfter('read-only transaction', said)).toMatch(
      /read-write endpoint/,
    );
    await knex.raw('rollback');
  });

  it('the end of its session leads to the next one', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');

    const said = await adviceFrom(
      emulator,
      knex.raw('select pg_terminate_backend(pg_backend_pid())'),
    );

    expect(cureAfter('administrator command', said)).toMatch(/try again/);
    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });
});
