import { MARKS } from '../../branches/marks';
import { VIEWS } from '../../governance/views';
import type { DatabaseAccess } from '../databaseAccess';
import { openIfThere, placesOf } from '../places';

/** Where a plugin has tables. */
export interface PluginSchema {
  database: string;
  schema: string;
  plugin: string;
  tables: string[];
}

const TABLES = `
  SELECT n.nspname AS schema,
         pg_catalog.array_agg(c.relname::text ORDER BY c.relname) AS tables
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%'
    AND n.nspname <> 'information_schema' AND n.nspname <> ALL ($1)
  GROUP BY 1 ORDER BY 1`;

const HAS_VIEWS = 'SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1';

export interface PluginSchemas {
  schemas: PluginSchema[];
  /** Databases that have the flat views of the catalog. */
  viewed: string[];
}

/** All plugins that have started there. */
export async function readSchemas(
  access: DatabaseAccess,
): Promise<PluginSchemas> {
  const schemas: PluginSchema[] = [];
  const viewed: string[] = [];
  for (const { database, pluginOf } of await placesOf(access)) {
    const opened = await openIfThere(access, database);
    if (!opened) continue;
    const views = await opened.rows(HAS_VIEWS, [VIEWS]);
    if (views.length > 0) viewed.push(database);
    const rows = await opened.rows<{ schema: string; tables: string[] }>(
      TABLES,
      [[MARKS, VIEWS]],
    );
    for (const { schema, tables } of rows) {
      const plugin = pluginOf(schema);
      if (plugin !== undefined)
        schemas.push({ database, schema, plugin, tables });
    }
  }
  return { schemas, viewed };
}
