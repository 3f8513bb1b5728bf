import { ConfigurationError } from '../errors';
import type { DatabaseAccess, OpenDatabase } from './databaseAccess';
import { findTables, readSchema } from './doctor/findTables';

const HAS_SCHEMA =
  'SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS found';
const HAS_DATABASE =
  'SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1) AS found';

/**
 * Makes sure that there is a place for the tables of the plugin asked for.
 *
 * @throws ConfigurationError that lists the plugins that have one.
 */
export async function requireTables(
  access: DatabaseAccess,
  pluginId: string,
): Promise<void> {
  const { settings, endpoint, plugin } = access;
  const { schemaMode } = settings;
  const { database } = plugin.connection;
  const [opened, query, kind, name] = schemaMode
    ? [database, HAS_SCHEMA, 'schema', readSchema(plugin)]
    : [endpoint.adminDatabase, HAS_DATABASE, 'database', database];
  const from = await access.open(opened);
  const [{ found }] = await from.rows<{ found: boolean }>(query, [name]);
  if (found) return;
  const ids = await listPlugins(access, from);
  throw new ConfigurationError(
    `Plugin '${pluginId}' has no ${kind} ${name} in ` +
      (schemaMode
        ? `${database} of ${endpoint.endpoint.value}`
        : endpoint.endpoint.value) +
      ': its id is misspelt, or it has not started there yet',
    ids.length > 0
      ? `Those that have one: ${ids.join(', ')}`
      : 'No plugin has one yet',
  );
}

async function listPlugins(
  access: DatabaseAccess,
  database: OpenDatabase,
): Promise<string[]> {
  const { namePrefix, schemaMode } = access.settings;
  const tables = await findTables({ access, database, replicas: 1 });
  return tables
    .map(it => (schemaMode ? it.schema : it.database))
    .filter(name => name.startsWith(namePrefix))
    .map(name => name.slice(namePrefix.length));
}
