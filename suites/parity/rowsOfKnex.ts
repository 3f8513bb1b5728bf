import type { JsonObject } from '@backstage/types';
import type { Row } from './rows';

const plugin = (catalog: JsonObject) => ({ plugin: { catalog } });
const schemas = {
  pluginDivisionMode: 'schema',
  connection: { database: 'databricks_postgres' },
};
const knexConfig = (value: JsonObject) => ({ knexConfig: value });
const pool = (value: JsonObject) => ({ knexConfig: { pool: value } });

/** Branches of `knexConfig`, and what lies beside it. */
export const KNEX_ROWS: Row[] = [
  { name: 'empty knexConfig', database: knexConfig({}) },
  { name: 'null as knexConfig', database: { knexConfig: null } },
  {
    name: "null as the plugin's knexConfig",
    database: plugin({ knexConfig: null }),
  },
  {
    name: 'knexConfig that is text',
    refused: 'knexConfig',
    database: { knexConfig: 'x' },
    differs: ['refused-before-sending'],
  },
  {
    name: "plugin's knexConfig that is text",
    refused: 'knexConfig',
    database: plugin({ knexConfig: 'x' }),
    differs: ['refused-before-sending'],
  },
  {
    name: 'plugin that is text',
    refused: 'backend.database.plugin.catalog',
    database: { plugin: { catalog: 'x' } },
  },
  { name: 'null as plugin', database: { plugin: null } },
  {
    name: 'null as a plugin of its own',
    database: { plugin: { catalog: null } },
  },
  { name: 'pool.max', database: pool({ max: 5 }) },
  { name: 'pool.min', database: pool({ min: 3 }) },
  {
    name: 'pool.max of 1',
    database: pool({ max: 1 }),
  },
  {
    name: 'pool.max below pool.min',
    refused: 'smaller than opt.min',
    database: pool({ min: 3, max: 1 }),
  },
  {
    name: 'pool sizes as text',
    refused: 'opt.min must be',
    database: pool({ min: '1', max: '4' }),
    differs: ['refused-before-sending'],
  },
  {
    name: 'pool.max that is no number',
    refused: 'opt.max must be',
    database: pool({ max: 'many' }),
    differs: ['refused-before-sending'],
  },
  {
    name: 'unknown setting of the pool',
    refused: 'unsupported option',
    database: pool({ size: 4 }),
  },
  { name: 'null as pool', database: knexConfig({ pool: null }) },
  { name: 'null as pool.min', database: pool({ min: null }) },
  { name: 'empty pool', database: pool({}) },
  {
    name: 'every timeout of the pool',
    database: pool({
      acquireTimeoutMillis: 20_000,
      createTimeoutMillis: 15_000,
      destroyTimeoutMillis: 4000,
      idleTimeoutMillis: 9000,
      reapIntervalMillis: 500,
      createRetryIntervalMillis: 100,
    }),
  },
  {
    name: 'propagateCreateError, with a missing database',
    database: pool({ propagateCreateError: false, acquireTimeoutMillis: 3000 }),
  },
  { name: "plugin's pool", database: plugin(pool({ min: 1, max: 3 })) },
  {
    name: "plugin's pool merged with the base's",
    database: { ...pool({ min: 1, max: 3 }), ...plugin(pool({ max: 7 })) },
  },
  {
    name: 'acquireConnectionTimeout',
    database: knexConfig({ acquireConnectionTimeout: 9000 }),
  },
  {
    name: 'acquireConnectionTimeout above that of the pool',
    database: knexConfig({
      acquireConnectionTimeout: 90_000,
      pool: { acquireTimeoutMillis: 12_000 },
    }),
  },
  {
    name: 'acquireConnectionTimeout above the defaults',
    database: knexConfig({ acquireConnectionTimeout: 90_000 }),
  },
  {
    name: 'debug, asyncStackTraces, compileSqlOnError',
    database: knexConfig({
      debug: false,
      asyncStackTraces: true,
      compileSqlOnError: false,
    }),
  },
  { name: 'version', database: knexConfig({ version: '14.2' }) },
  {
    name: 'useNullAsDefault',
    database: knexConfig({ useNullAsDefault: false }),
  },
  {
    name: 'keys that Knex does not know',
    database: knexConfig({ ours: { a: [1, { b: null }] }, flag: true }),
  },
  {
    name: 'deep merge',
    database: {
      ...knexConfig({
        migrations: { directory: 'a', stub: 'x' },
        seeds: { directory: 'a' },
      }),
      ...plugin(knexConfig({ migrations: { directory: 'b' } })),
    },
  },
  {
    name: 'arrays, merged by index',
    database: {
      ...knexConfig({ migrations: { loadExtensions: ['.js', '.ts'] } }),
      ...plugin(knexConfig({ migrations: { loadExtensions: ['.mjs'] } })),
    },
  },
  {
    name: 'searchPath',
    database: knexConfig({ searchPath: ['one', 'public'] }),
  },
  { name: 'searchPath as text', database: knexConfig({ searchPath: 'one' }) },
  {
    name: 'empty searchPath',
    refused: 'syntax error',
    database: knexConfig({ searchPath: [] }),
    differs: ['half-open-connections', 'connects-in-getClient'],
  },
  {
    name: "plugin's searchPath",
    database: {
      ...knexConfig({ searchPath: ['one', 'public'] }),
      ...plugin(knexConfig({ searchPath: ['two'] })),
    },
  },
  {
    name: 'searchPath in schema mode',
    database: { ...schemas, ...knexConfig({ searchPath: ['one', 'public'] }) },
  },
  {
    name: 'searchPath as text in schema mode',
    database: { ...schemas, ...knexConfig({ searchPath: 'public' }) },
  },
  {
    name: 'client in knexConfig',
    database: knexConfig({ client: 'better-sqlite3' }),
  },
  {
    name: 'connection in knexConfig',
    database: knexConfig({
      connection: { database: 'elsewhere', user: 'nobody_here' },
    }),
  },
  {
    name: 'role in knexConfig',
    database: knexConfig({ role: 'portal_owner' }),
  },
  { name: 'log in knexConfig', database: knexConfig({ log: { level: 'x' } }) },
  { name: 'pool beside knexConfig', database: { pool: { min: 1, max: 4 } } },
  {
    name: 'searchPath beside knexConfig',
    database: { searchPath: ['one', 'public'] },
  },
  {
    name: 'searchPath beside knexConfig in schema mode',
    database: { ...schemas, searchPath: ['one', 'public'] },
  },
  {
    name: 'acquireConnectionTimeout beside knexConfig',
    database: { acquireConnectionTimeout: 9000 },
  },
  {
    name: 'asyncStackTraces beside knexConfig',
    database: { asyncStackTraces: true },
  },
  {
    name: 'useNullAsDefault beside knexConfig',
    database: { useNullAsDefault: false },
  },
  { name: 'unrelated key beside knexConfig', database: { comment: 'x' } },
];
