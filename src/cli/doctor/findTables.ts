import { groupBy } from 'lodash';
import type { PluginDatabase } from '../../config/pluginDatabase';
import type { DatabaseAccess } from '../databaseAccess';
import { Examination, needFilled, PluginTables } from './check';

/**
 * Ids of Backstage's own plugins that keep tables, and so names of schemas. A
 * schema of another plugin is recognized by the tables that Knex keeps of
 * migrations. A test compares this with the packages that are installed.
 */
export const PLUGINS_OF_BACKSTAGE = [
  'app',
  'auth',
  'catalog',
  'events',
  'kubernetes',
  'notifications',
  'permission',
  'scaffolder',
  'search',
  'signals',
  'techdocs',
  'user-settings',
];

/** Where plugins on this endpoint have their tables by now. */
export async function findTables(
  examination: Examination,
): Promise<PluginTables[]> {
  return examination.access.settings.schemaMode
    ? findSchemas(examination)
    : findDatabases(examination);
}

/** What the plugins get that are mentioned by name. */
export const listNamed = ({ settings, endpoint }: DatabaseAccess) =>
  endpoint.plugins.map(id => settings.forPlugin(id)!.database);

const DATABASES = `
  SELECT datname AS name FROM pg_database
  WHERE datallowconn AND NOT datistemplate
    AND (starts_with(datname, $1) OR datname = ANY ($2)) ORDER BY datname`;

async function findDatabases({
  access,
  database,
}: Examination): Promise<PluginTables[]> {
  const named = groupByDatabase(access);
  const found = await needFilled(database).rows<{ name: string }>(DATABASES, [
    access.settings.namePrefix,
    [...named.keys()],
  ]);
  return found.flatMap(({ name }) => {
    const plugin =
      named.get(name)?.[0] ?? (access.endpoint.base && access.plugin);
    return plugin ? [{ database: name, schema: 'public', plugin }] : [];
  });
}

const SCHEMAS = `
  SELECT nspname AS name FROM pg_namespace
  WHERE nspname = ANY ($1) OR starts_with(nspname, $2) AND EXISTS (
    SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid
      AND relname LIKE '%knex_migrations' AND nspname <> 'public')
  ORDER BY nspname`;

async function findSchemas({
  access,
  database,
}: Examination): Promise<PluginTables[]> {
  const { namePrefix } = access.settings;
  const { base } = access.endpoint;
  const shared = needFilled(database);
  const named = groupByDatabase(access);
  const own = access.plugin.connection.database;
  if (base && !named.has(own)) named.set(own, []);

  const tables: PluginTables[] = [];
  for (const [name, plugins] of named) {
    const opened =
      name === shared.target.database
        ? shared
        : await access.open(name, plugins[0]).catch(() => undefined);
    const serving = base && name === own ? access.plugin : undefined;
    const names = plugins.map(readSchema);
    const expected = serving
      ? [...names, ...PLUGINS_OF_BACKSTAGE.map(id => namePrefix + id)]
      : names;
    const found = await opened?.rows<{ name: string }>(SCHEMAS, [
      expected,
      namePrefix,
    ]);
    for (const { name: schema } of found ?? []) {
      const plugin = plugins.find(it => readSchema(it) === schema) ?? serving;
      if (plugin) tables.push({ database: name, schema, plugin });
    }
  }
  return tables;
}

export const readSchema = ({ knexConfig }: PluginDatabase) =>
  [knexConfig.searchPath].flat()[0] ?? 'public';

/** The plugins that are mentioned by name. */
const groupByDatabase = (access: DatabaseAccess) =>
  new Map(
    Object.entries(
      groupBy(listNamed(access), ({ connection }) => connection.database),
    ),
  );
