import { LakebaseError } from '../errors';
import type { DatabaseAccess, OpenDatabase } from './databaseAccess';

/** Databases of plugins, where each has one of its own. */
const DATABASES = `
  SELECT datname AS name FROM pg_catalog.pg_database
  WHERE datallowconn AND NOT datistemplate
    AND pg_catalog.starts_with(datname, $1) ORDER BY datname`;

/** A database of plugins. */
export interface Place {
  database: string;
  /** The plugin whose tables are in a schema of it. */
  pluginOf: (schema: string) => string | undefined;
}

/** Where the plugins in general keep their tables, and those by name. */
export async function placesOf(access: DatabaseAccess): Promise<Place[]> {
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

/** That of a plugin which has not started yet is not there. */
export async function openIfThere(
  access: DatabaseAccess,
  database: string,
): Promise<OpenDatabase | undefined> {
  try {
    return await access.open(database);
  } catch (error) {
    if (error instanceof LakebaseError && error.code === 'database-missing') {
      return undefined;
    }
    throw error;
  }
}
