import {
  cureLackOf,
  findCure,
  type RefusalSite,
} from '../../src/connections/cures';
import type { Explanation } from '../../src/errors';

const LOGIN = 'portal';
const SITE = { user: LOGIN, database: 'backstage', schema: 'catalog' };

const find = (
  message: string,
  site: Partial<RefusalSite> = {},
  refusal: { code?: string; detail?: string; hint?: string } = {},
) =>
  findCure(
    { code: '42501', message, detail: undefined, hint: undefined, ...refusal },
    { ...SITE, ...site },
  );

const CONTENTS = (schema: string, grantee: string) => [
  `GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON ALL TABLES IN SCHEMA ${schema} TO ${grantee};`,
  `GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${grantee};`,
  `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON TABLES TO ${grantee};`,
  `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO ${grantee};`,
];

const schemaCure = (
  schema: string,
  problem = `"portal" lacks rights in schema ${schema}`,
): Explanation => ({
  problem,
  remedy: `Run in database "backstage", as owner of that schema and its tables`,
  statements: [
    `GRANT USAGE, CREATE ON SCHEMA ${schema} TO "portal";`,
    ...CONTENTS(schema, '"portal"'),
  ],
});

const contentsCure: Explanation = {
  problem: '"portal" lacks rights in schema "catalog"',
  remedy: 'Run in database "backstage", as owner of its tables',
  statements: CONTENTS('"catalog"', '"portal"'),
};

const handOver = (object: string, selectOwner: string): Explanation => ({
  problem:
    '"portal" must own what it changes; a shared backend.database.role spares this',
  remedy:
    'Run in database "backstage", as member of both roles, to hand over all ' +
    `that the owner of ${object} owns there, and its databases`,
  statements: [
    `DO $$ BEGIN EXECUTE format('REASSIGN OWNED BY %s TO %s', ` +
      `(${selectOwner}), '"portal"'); END $$;`,
  ],
});

const ownerIn = (
  [catalog, prefix]: [string, string],
  name: string,
  schema = '"catalog"',
) =>
  `SELECT ${prefix}owner::regrole FROM ${catalog} ` +
  `WHERE ${prefix}name = '${name}' ` +
  `AND ${prefix}namespace = '${schema}'::regnamespace LIMIT 1`;

const onDatabase = (rights: string, grantee = '"portal"') =>
  `GRANT ${rights} ON DATABASE "backstage" TO ${grantee};`;

describe('a right is given by its statements:', () => {
  it.each<[refusal: string, cure: Explanation]>([
    [
      'permission denied to set role "owner"',
      {
        problem: '"portal" may not become "owner" (backend.database.role)',
        remedy: 'Run as an administrator of that role',
        statements: ['GRANT "owner" TO "portal" WITH SET TRUE;'],
      },
    ],
    [
      'permission denied to create database',
      {
        problem: '"portal" may not create databases',
        remedy:
          'Create them ahead with "portal" as their owner, or put all plugins ' +
          'into one with backend.database.pluginDivisionMode: schema, or run ' +
          'as an administrator',
        statements: ['ALTER ROLE "portal" CREATEDB;'],
      },
    ],
    [
      'permission denied for database backstage',
      {
        problem: '"portal" lacks rights on database "backstage"',
        remedy: 'Run as its owner',
        statements: [onDatabase('CONNECT, CREATE, TEMPORARY')],
      },
    ],
    [
      'permission denied to create temporary tables in database "backstage"',
      {
        problem: '"portal" lacks rights on database "backstage"',
        remedy: 'Run as its owner',
        statements: [onDatabase('CONNECT, CREATE, TEMPORARY')],
      },
    ],
    [
      'permission denied to create extension "pg_trgm"',
      {
        problem: '"portal" may not create this extension',
        remedy:
          'Run in database "backstage", as member of databricks_superuser',
        statements: [
          'CREATE EXTENSION IF NOT EXISTS "pg_trgm" SCHEMA "catalog";',
        ],
      },
    ],
    ['permission denied for schema other', schemaCure('"other"')],
    ['permission denied for table entities', contentsCure],
    ['permission denied for view names', contentsCure],
    ['permission denied for materialized view names', contentsCure],
    ['permission denied for foreign table names', contentsCure],
    ['permission denied for sequence ids', contentsCure],
    [
      'must be owner of schema catalog',
      handOver(
        'schema "catalog"',
        `SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'catalog'`,
      ),
    ],
    ...[
      'table',
      'index',
      'sequence',
      'view',
      'materialized view',
      'foreign table',
      'relation',
    ].map((kind): [string, Explanation] => [
      `must be owner of ${kind} it's`,
      handOver(`${kind} "it's"`, ownerIn(['pg_class', 'rel'], "it''s")),
    ]),
    ...Object.entries({
      function: ['pg_proc', 'pro'],
      procedure: ['pg_proc', 'pro'],
      type: ['pg_type', 'typ'],
      'statistics object': ['pg_statistic_ext', 'stx'],
    }).flatMap(([kind, catalog]): [string, Explanation][] => [
      [
        `must be owner of ${kind} one`,
        handOver(`${kind} "one"`, ownerIn(catalog as [string, string], 'one')),
      ],
      [
        `must be owner of ${kind} extra.one`,
        handOver(
          `${kind} "one"`,
          ownerIn(catalog as [string, string], 'one', '"extra"'),
        ),
      ],
    ]),
  ])('%s', (message, cure) => {
    expect(find(message)).toEqual(cure);
  });

  it('CREATE for an extension that its user may create', () => {
    const hint =
      'Must have CREATE privilege on current database to create this extension.';

    expect(
      find('permission denied to create extension "x"', {}, { hint }),
    ).toEqual({
      problem: '"portal" may not create extensions in database "backstage"',
      remedy: 'Run as its owner',
      statements: [onDatabase('CREATE')],
    });
  });

  it.each<[role: string | undefined, statements: string[]]>([
    [undefined, [onDatabase('CONNECT, CREATE, TEMPORARY')]],
    [
      'owner',
      [onDatabase('CONNECT'), onDatabase('CREATE, TEMPORARY', '"owner"')],
    ],
  ])('CONNECT for the login, with the role %s', (role, statements) => {
    const detail = 'User does not have CONNECT privilege.';

    expect(
      find('permission denied for database "backstage"', { role }, { detail }),
    ).toEqual({
      problem: '"portal" may not connect to database "backstage"',
      remedy: 'Run as its owner',
      statements,
    });
  });

  it('a role that does not exist is created', () => {
    expect(find('role "owner" does not exist', {}, { code: '22023' })).toEqual({
      problem: 'There is no role "owner" (backend.database.role)',
      remedy: 'Run as an administrator',
      statements: [
        'CREATE ROLE "owner" NOLOGIN;',
        'GRANT "owner" TO "portal" WITH SET TRUE;',
        onDatabase('CONNECT, CREATE, TEMPORARY', '"owner"'),
      ],
    });
  });

  it('a search path whose schema may not be used', () => {
    expect(
      find('no schema has been selected to create in', {}, { code: '3F000' }),
    ).toEqual(
      schemaCure(
        '"catalog"',
        'If schema "catalog" exists, "portal" lacks rights in schema "catalog"',
      ),
    );
  });
});

describe('statements', () => {
  it('are for the role, where there is one', () => {
    const cure = find('permission denied for table t', { role: 'owner' });

    expect(cure?.problem).toContain('"owner" lacks rights');
    expect(cure?.statements).toEqual(CONTENTS('"catalog"', '"owner"'));
  });

  it('are for schema public, where the plugin has none', () => {
    const cure = find('permission denied for table t', { schema: undefined });

    expect(cure?.statements).toEqual(CONTENTS('"public"', '"portal"'));
  });

  it('hold names that nobody expects as names', () => {
    const name = 'a"; DROP TABLE t; --';
    const quoted = '"a""; DROP TABLE t; --"';

    expect(find(`permission denied for schema ${name}`)?.statements![0]).toBe(
      `GRANT USAGE, CREATE ON SCHEMA ${quoted} TO "portal";`,
    );
    expect(
      find('permission denied to create database', { user: name })?.statements,
    ).toEqual([`ALTER ROLE ${quoted} CREATEDB;`]);
  });
});

it.each([
  ['42501', 'permission denied for schema pg_catalog'],
  ['42501', 'permission denied for table pg_authid'],
  ['42501', 'permission denied to set parameter "log_min_messages"'],
  ['42501', 'must be owner of event trigger t'],
  ['42501', 'role "owner" does not exist'],
  ['42501', 'no schema has been selected to create in'],
  ['42P01', 'permission denied for table entities'],
  ['42501', 'Hint: permission denied for schema other'],
  ['42501', 'no permission denied to create database'],
  ['42501', 'permission denied to create databases'],
])('there is none for %s: %s', (code, message) => {
  expect(find(message, {}, { code })).toBeUndefined();
});

it('a lack that was seen ahead is cured as when a statement meets it', () => {
  expect(cureLackOf.schemaOwnership(SITE, 'catalog')).toEqual(
    find('must be owner of schema catalog'),
  );
  expect(cureLackOf.tableOwnership(SITE, 'entities')).toEqual(
    find('must be owner of table entities'),
  );
  expect(cureLackOf.databaseCreation(SITE)).toEqual(
    find('permission denied to create database'),
  );
  expect(cureLackOf.databaseRights(SITE)).toEqual(
    find('permission denied for database backstage'),
  );
});
