import {
  isScrubbed,
  scrubDatabase,
  type ScrubbedTable,
} from '../../branches/scrub';
import type { DatabaseAccess } from '../databaseAccess';

/** Databases of plugins, where each has one of its own. */
const DATABASES = `
  SELECT datname AS name FROM pg_catalog.pg_database
  WHERE datallowconn AND NOT datistemplate
    AND pg_catalog.starts_with(datname, $1) ORDER BY datname`;

interface Place {
  database: string;
  pluginOf: (schema: string) => string | undefined;
}

/** Where the plugins in general keep their tables, and those by name. */
async function placesOf(access: DatabaseAccess): Promise<Place[]> {
  const { settings, endpoint, plugin } = access;
  const { namePrefix, schemaMode } = settings;
  const named = endpoint.plugins.map(id => ({
    id,
    database: settings.forPlugin(id)!.database.connection.database,
  }));
  if (schemaMode) {
    const databases = [
      plugin.connection.database,
      ...named.map(it => it.database),
    ];
    return [...new Set(databases)].map(database => ({
      database,
      pluginOf: schema =>
        schema.startsWith(namePrefix)
          ? schema.slice(namePrefix.length)
          : undefined,
    }));
  }
  const admin = await access.open(endpoint.adminDatabase);
  const found = await admin.rows<{ name: string }>(DATABASES, [namePrefix]);
  const others = named.filter(
    ({ database }) => !found.some(({ name }) => name === database),
  );
  return [
    ...found.map(({ name }) => ({
      database: name,
      pluginOf: () =>
        named.find(({ database }) => database === name)?.id ??
        name.slice(namePrefix.length),
    })),
    ...others.map(({ id, database }) => ({ database, pluginOf: () => id })),
  ];
}

/**
 * Scrubs all databases of a copy that were not scrubbed before.
 *
 * @returns what became of each table; undefined where all was done already.
 * @throws LakebaseError
 */
export async function scrubAll(
  copy: DatabaseAccess,
  source: DatabaseAccess,
  allowed: readonly string[],
  { again = false } = {},
): Promise<ScrubbedTable[] | undefined> {
  const done: ScrubbedTable[] = [];
  let scrubbed = 0;
  for (const { database, pluginOf } of await placesOf(copy)) {
    const opened = await copy.open(database);
    if (!again && (await isScrubbed(opened))) continue;
    scrubbed += 1;
    const tables = await scrubDatabase(
      {
        name: database,
        pluginOf,
        copy: opened,
        source: await source.open(database),
      },
      allowed,
    );
    done.push(...tables);
  }
  return scrubbed > 0 ? done : undefined;
}
