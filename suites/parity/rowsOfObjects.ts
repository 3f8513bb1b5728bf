import type { JsonObject } from '@backstage/types';
import type { Row } from './rows';

const plugin = (catalog: JsonObject) => ({ plugin: { catalog } });

const schemas = {
  pluginDivisionMode: 'schema',
  connection: { database: 'databricks_postgres' },
};

type Before = Row['before'];

const databaseExists: Before = [
  ['postgres', 'create database backstage_plugin_catalog owner "{user}"'],
];
const schemaExists: Before = [
  ['databricks_postgres', 'create schema catalog authorization "{user}"'],
];

const yesNo = [true, false];

/** ensureExists and ensureSchemaExists, with and without what they ensure. */
const DATABASE_ROWS = yesNo.flatMap(ensureExists =>
  [undefined, ...yesNo].flatMap(own =>
    [undefined, databaseExists].map((before): Row => {
      const missing = !before && !(own ?? ensureExists);
      return {
        name: `database ${before ? 'exists' : 'is missing'}, ensureExists: ${ensureExists}, of the plugin: ${own ?? '-'}`,
        database: {
          ensureExists,
          ...(own !== undefined && plugin({ ensureExists: own })),
        },
        before,
        ...(missing && {
          refused: 'does not exist',
          differs: ['connects-in-getClient'],
        }),
      };
    }),
  ),
);

const SCHEMA_ROWS = yesNo.flatMap(ensureExists =>
  [undefined, ...yesNo].flatMap(ensureSchemaExists =>
    [undefined, ...yesNo].flatMap(own =>
      [undefined, schemaExists].map((before): Row => {
        const ignored =
          !before &&
          !ensureExists &&
          own !== undefined &&
          own !== (ensureSchemaExists ?? false);
        return {
          name: `schema ${before ? 'exists' : 'is missing'}, ensureExists: ${ensureExists}, ensureSchemaExists: ${ensureSchemaExists ?? '-'}, of the plugin: ${own ?? '-'}`,
          database: {
            ...schemas,
            ensureExists,
            ...(ensureSchemaExists !== undefined && { ensureSchemaExists }),
            ...(own !== undefined && plugin({ ensureSchemaExists: own })),
          },
          before,
          differs: ignored ? ['plugin-ensureSchemaExists'] : [],
        };
      }),
    ),
  ),
);

/** Branches of what databases and schemas are called, and who makes them. */
export const OBJECT_ROWS: Row[] = [
  ...DATABASE_ROWS,
  ...SCHEMA_ROWS,
  {
    name: 'database is missing in schema mode, ensureExists: false',
    refused: 'does not exist',
    database: {
      pluginDivisionMode: 'schema',
      connection: { database: 'portal' },
      ensureExists: false,
    },
    differs: ['connects-in-getClient'],
  },
  {
    name: 'database is missing in schema mode, ensureSchemaExists: true only',
    refused: 'does not exist',
    database: {
      pluginDivisionMode: 'schema',
      connection: { database: 'portal' },
      ensureExists: false,
      ensureSchemaExists: true,
    },
  },
  {
    name: 'ensureExists as text',
    database: { ensureExists: 'no' },
    before: databaseExists,
  },
  {
    name: 'ensureExists that is no boolean',
    refused: 'ensureExists',
    database: { ensureExists: 'perhaps' },
    differs: ['refused-before-sending'],
  },
  { name: 'null as ensureExists', database: { ensureExists: null } },
  { name: 'database mode said', database: { pluginDivisionMode: 'database' } },
  { name: 'unknown division mode', database: { pluginDivisionMode: 'Schema' } },
  { name: 'null as division mode', database: { pluginDivisionMode: null } },
  { name: 'prefix', database: { prefix: 'portal-' } },
  {
    name: 'prefix in schema mode',
    database: { ...schemas, prefix: 'portal_' },
  },
  {
    name: 'empty prefix',
    refused: 'backend.database.prefix',
    database: { prefix: '' },
  },
  { name: 'null as prefix', database: { prefix: null } },
  {
    name: 'prefix that is a number',
    refused: 'backend.database.prefix',
    database: { prefix: 7 },
  },
  { name: 'schemaPrefix', database: { ...schemas, schemaPrefix: 'Portal_' } },
  {
    name: 'schemaPrefix in database mode',
    database: { schemaPrefix: 'portal_' },
  },
  {
    name: 'invalid schemaPrefix',
    refused: 'Invalid schemaPrefix',
    database: { ...schemas, schemaPrefix: '1-' },
  },
  {
    name: 'invalid schemaPrefix in database mode',
    refused: 'Invalid schemaPrefix',
    database: { schemaPrefix: '1-' },
  },
  {
    name: 'empty schemaPrefix',
    refused: 'backend.database.schemaPrefix',
    database: { ...schemas, schemaPrefix: '' },
  },
  {
    name: 'null as schemaPrefix',
    database: { ...schemas, schemaPrefix: null },
  },
  {
    name: 'plugin with hyphens',
    database: {},
    pluginId: 'mcp-actions',
  },
  {
    name: 'plugin with hyphens in schema mode',
    database: schemas,
    pluginId: 'mcp-actions',
  },
  {
    name: 'database name of 63 bytes',
    database: { prefix: 'p'.repeat(56) },
  },
  {
    name: 'database name of 64 bytes',
    database: { prefix: 'p'.repeat(57) },
  },
  {
    name: 'schema name of 63 bytes',
    database: { ...schemas, schemaPrefix: 's'.repeat(56) },
  },
  {
    name: 'schema name of 64 bytes',
    refused: '63-byte limit',
    database: { ...schemas, schemaPrefix: 's'.repeat(57) },
    differs: ['refused-before-sending'],
  },
  {
    name: 'database name of 64 bytes, cut off by an earlier start',
    database: { prefix: 'p'.repeat(57) },
    before: [
      ['postgres', `create database ${'p'.repeat(57)}catalo owner "{user}"`],
    ],
  },
  {
    name: "plugin's database name of 64 bytes",
    database: plugin({ connection: { database: 'd'.repeat(64) } }),
  },
  { name: 'role', database: { role: 'portal_owner' } },
  {
    name: 'role in schema mode',
    database: { ...schemas, role: 'portal_owner' },
  },
  {
    name: 'role in schema mode, of a schema that exists',
    database: { ...schemas, role: 'portal_owner' },
    before: schemaExists,
  },
  {
    name: "plugin's role",
    database: plugin({ role: 'portal_owner' }),
    differs: ['plugin-role'],
  },
  {
    name: "plugin's role over the base's in schema mode",
    database: {
      ...schemas,
      role: 'portal_owner',
      ...plugin({ role: 'other_owner' }),
    },
    differs: ['plugin-role'],
  },
  {
    name: 'missing role',
    database: { role: 'nobody_here', ensureExists: false },
    before: databaseExists,
    differs: ['missing-role'],
  },
  {
    name: 'empty role',
    refused: 'backend.database.role',
    database: { role: '' },
    differs: ['refused-before-sending'],
  },
  { name: 'null as role', database: { role: null } },
  { name: 'keepalive', database: { keepalive: true } },
  { name: 'skipMigrations', database: { skipMigrations: true } },
  {
    name: "plugin's skipMigrations",
    database: plugin({ skipMigrations: true }),
  },
  {
    name: "plugin's skipMigrations over the base's",
    database: { skipMigrations: true, ...plugin({ skipMigrations: false }) },
  },
  { name: 'skipMigrations as text', database: { skipMigrations: 'true' } },
  {
    name: 'skipMigrations that is no boolean',
    refused: 'skipMigrations',
    database: { skipMigrations: 'maybe' },
  },
  { name: 'null as skipMigrations', database: { skipMigrations: null } },
  {
    name: 'no right to connect to database postgres',
    refused: 'permission denied',
    database: {},
    before: [['postgres', 'revoke connect on database postgres from public']],
    differs: ['admin-database'],
  },
  {
    name: 'no right to connect to database postgres, schema mode',
    refused: 'permission denied',
    database: schemas,
    before: [['postgres', 'revoke connect on database postgres from public']],
    differs: ['admin-database'],
  },
  {
    name: 'a first failure that an operator mends',
    refused: 'permission denied',
    database: { ensureExists: true },
    before: [['postgres', 'alter role "{user}" nocreatedb']],
    mend: ['alter role "{user}" createdb'],
    differs: ['failure-remembered'],
  },
];
