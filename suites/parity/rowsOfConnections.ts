import type { JsonObject } from '@backstage/types';
import type { Row } from './rows';

const STRING = 'postgresql://{login}@{host}:{port}';

const plugin = (catalog: JsonObject) => ({ plugin: { catalog } });
const schemas = { pluginDivisionMode: 'schema' };

/** Branches of `connection`, `client` and `application_name`. */
export const CONNECTION_ROWS: Row[] = [
  { name: 'nothing said', database: {} },
  {
    name: 'host and user said',
    database: { connection: { host: '{host}', user: '{user}' } },
  },
  {
    name: 'connection as a string',
    database: { connection: `${STRING}/portal?{tls}` },
  },
  {
    name: 'connection as a string, schema mode',
    database: { ...schemas, connection: `${STRING}/portal?{tls}` },
  },
  {
    name: 'connection as a string without a database',
    database: { connection: `${STRING}?{tls}` },
  },
  {
    name: 'connection as a string with parameters',
    database: {
      connection: `${STRING}/portal?{tls}&application_name=portal&statement_timeout=7000`,
    },
  },
  {
    name: 'connection as a string without a port, which the plugin gives',
    database: {
      connection: 'postgresql://{login}@{host}/portal?{tls}',
      ensureExists: false,
      ...plugin({ connection: { port: '{port}' } }),
    },
    before: [
      ['postgres', 'create database backstage_plugin_catalog owner "{user}"'],
    ],
  },
  { name: 'port as text', database: { connection: { port: '{port}' } } },
  {
    name: "plugin's connection as an object",
    database: plugin({ connection: { database: 'own', lock_timeout: 3000 } }),
  },
  {
    name: "plugin's connection as a string over an object",
    database: plugin({ connection: `${STRING}/own?{tls}` }),
  },
  {
    name: "plugin's connection as a string over a string",
    database: {
      connection: `${STRING}/portal?{tls}&application_name=portal`,
      ...plugin({ connection: `${STRING}/own?{tls}` }),
    },
  },
  {
    name: "plugin's database in schema mode",
    database: {
      ...schemas,
      connection: { database: 'databricks_postgres' },
      ...plugin({ connection: { database: 'own' } }),
    },
    differs: ['schema-in-other-database'],
  },
  {
    name: "another plugin's connection",
    database: { plugin: { search: { connection: { database: 'own' } } } },
  },
  {
    name: 'base connection.database in database mode',
    database: { connection: { database: 'portal' } },
  },
  {
    name: 'base connection.database in schema mode',
    database: { ...schemas, connection: { database: 'portal' } },
  },
  {
    name: 'no database in schema mode',
    refused: 'does not exist',
    database: schemas,
    differs: ['default-database'],
  },
  {
    name: 'base application_name',
    database: { connection: { application_name: 'portal' } },
  },
  {
    name: "plugin's application_name",
    database: plugin({ connection: { application_name: 'own' } }),
  },
  {
    name: "plugin's application_name over the base's",
    database: {
      connection: { application_name: 'portal' },
      ...plugin({ connection: { application_name: 'own' } }),
    },
  },
  {
    name: 'empty base application_name',
    database: { connection: { application_name: '' } },
  },
  {
    name: "empty plugin's application_name",
    differs: ['empty-is-absent'],
    database: plugin({ connection: { application_name: '' } }),
  },
  {
    name: "null as the plugin's application_name",
    database: {
      connection: { application_name: 'portal' },
      ...plugin({ connection: { application_name: null } }),
    },
  },
  {
    name: "null as the plugin's database",
    database: plugin({ connection: { database: null } }),
  },
  {
    name: "empty plugin's database",
    refused: 'does not exist',
    differs: ['empty-is-absent'],
    database: plugin({ connection: { database: '' } }),
  },
  {
    name: 'empty base database in schema mode',
    refused: 'does not exist',
    database: { ...schemas, connection: { database: '' } },
    differs: ['default-database'],
  },
  {
    name: 'other settings of pg',
    database: {
      connection: {
        statement_timeout: 9000,
        lock_timeout: '2s',
        keepAlive: false,
        query_timeout: 60_000,
        connectionTimeoutMillis: 5000,
        fallback_application_name: 'fallback',
      },
    },
  },
  {
    name: 'options of the server',
    database: { connection: { options: '-c statement_timeout=8000' } },
  },
  {
    name: 'nested settings, merged',
    database: {
      connection: { extra: { a: 1, b: [1, 2] } },
      ...plugin({ connection: { extra: { b: [3], c: 4 } } }),
    },
  },
  {
    name: 'connection.connectionString',
    database: { connection: { connectionString: `${STRING}/portal?{tls}` } },
    before: [['postgres', 'create database portal owner "{user}"']],
    differs: ['one-way-to-connect'],
  },
  {
    name: 'type default, with what belongs to other types',
    database: {
      connection: {
        type: 'default',
        instance: 'project:region:instance',
        tokenCredential: { clientId: 'x' },
      },
    },
  },
  {
    name: "plugin's type default",
    database: plugin({ connection: { type: 'default', database: 'own' } }),
  },
  {
    name: 'unknown type',
    refused: 'Unknown connection type',
    database: { connection: { type: 'oracle' } },
    differs: ['refused-before-sending'],
  },
  {
    name: "plugin's unknown type",
    refused: 'Unknown connection type',
    database: plugin({ connection: { type: 'oracle' } }),
    differs: ['refused-before-sending'],
  },
  {
    name: 'type rds without a region',
    refused: 'Missing region',
    database: { connection: { type: 'rds' } },
    differs: ['refused-before-sending'],
  },
  {
    name: 'null as connection',
    refused: 'backend.database.connection',
    database: {
      connection: null,
      ensureExists: false,
      ...plugin({ connection: `${STRING}/own?{tls}` }),
    },
    before: [['postgres', 'create database own owner "{user}"']],
    differs: ['connection-looked-up'],
  },
  {
    name: "null as the plugin's connection",
    database: plugin({ connection: null }),
  },
  {
    name: 'no client',
    refused: 'backend.database.client',
    database: { client: null },
  },
  {
    name: 'unknown client',
    refused: 'Unsupported database client',
    database: { client: 'oracle' },
  },
  {
    name: "plugin's unknown client",
    refused: 'Unsupported database client',
    database: plugin({ client: 'oracle' }),
  },
  { name: "plugin's client pg", database: plugin({ client: 'pg' }) },
  {
    name: "plugin's client SQLite",
    database: plugin({ client: 'better-sqlite3', connection: ':memory:' }),
  },
  {
    name: 'client SQLite, of one plugin pg',
    database: {
      client: 'better-sqlite3',
      connection: ':memory:',
      ensureExists: false,
      ...plugin({ client: 'pg', connection: `${STRING}/own?{tls}` }),
    },
    before: [['postgres', 'create database own owner "{user}"']],
    differs: ['application-name-forgotten'],
  },
];
