import { DATABASE_KEY } from '../../config/config';
import {
  PluginDatabase,
  readPluginDatabase,
} from '../../config/pluginDatabase';
import { Examination, filledIn, Place } from './check';

/**
 * What plugins of Backstage call themselves, and so their schemas. Others are
 * known by the tables that Knex keeps of migrations.
 */
const PLUGINS_OF_BACKSTAGE = [
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
export async function findPlaces(examination: Examination): Promise<Place[]> {
  return examination.access.schemaMode
    ? schemas(examination)
    : databases(examination);
}

const DATABASES = `
  SELECT datname AS name FROM pg_database
  WHERE datallowconn AND NOT datistemplate
    AND (starts_with(datname, ?) OR datname = ANY (?)) ORDER BY datname`;

async function databases(examination: Examination): Promise<Place[]> {
  const { rootConfig, access } = examination;
  const config = rootConfig.getConfig(DATABASE_KEY);
  const prefix = config.getOptionalString('prefix') ?? 'backstage_plugin_';
  const named = byDatabase(examination);
  const found = await filledIn(examination.session).rows<{ name: string }>(
    DATABASES,
    [prefix, [...named.keys()]],
  );
  return found.flatMap(({ name: database }) => {
    const settings =
      named.get(database)?.[0] ?? (access.use.base && access.plugin);
    return settings ? [{ database, schema: 'public', settings }] : [];
  });
}

const SCHEMAS = `
  SELECT nspname AS name FROM pg_namespace
  WHERE nspname = ANY (?) OR starts_with(nspname, ?) AND EXISTS (
    SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid
      AND relname LIKE '%knex_migrations' AND nspname <> 'public')
  ORDER BY nspname`;

async function schemas(examination: Examination): Promise<Place[]> {
  const { rootConfig, access } = examination;
  const config = rootConfig.getConfig(DATABASE_KEY);
  const prefix = config.getOptionalString('schemaPrefix') ?? '';
  const { base } = access.use;
  const shared = filledIn(examination.session);
  const named = byDatabase(examination);
  const own = access.plugin.connection.database;
  if (base && !named.has(own)) named.set(own, []);

  const places: Place[] = [];
  for (const [database, plugins] of named) {
    const session =
      database === shared.target.database
        ? shared
        : await access.open(database, plugins[0]).catch(() => undefined);
    const serving = base && database === own ? access.plugin : undefined;
    const names = plugins.map(schemaOf);
    const expected = serving
      ? [...names, ...PLUGINS_OF_BACKSTAGE.map(id => prefix + id)]
      : names;
    const found = await session?.rows<{ name: string }>(SCHEMAS, [
      expected,
      prefix,
    ]);
    for (const { name } of found ?? []) {
      const settings = plugins.find(it => schemaOf(it) === name) ?? serving;
      if (settings) places.push({ database, schema: name, settings });
    }
  }
  return places;
}

const schemaOf = ({ knexConfig }: PluginDatabase) =>
  [knexConfig.searchPath].flat()[0] ?? 'public';

/** The plugins that are mentioned by name. */
function byDatabase({
  rootConfig,
  access,
}: Examination): Map<string, PluginDatabase[]> {
  const found = new Map<string, PluginDatabase[]>();
  for (const id of access.use.plugins) {
    const settings = readPluginDatabase(rootConfig, access.use.config, id);
    const { database } = settings.connection;
    found.set(database, [...(found.get(database) ?? []), settings]);
  }
  return found;
}
