import { escapeIdentifier } from 'pg';
import type { Queries } from './queries';

/** One of the tables in which Knex keeps what was applied. */
export interface MigrationTable {
  database: string;
  schema: string;
  table: string;
  plugin: string;
  /** In the order in which they were applied. */
  applied: AppliedMigration[];
}

export interface AppliedMigration {
  name: string;
  batch: number;
  at: Date | null;
}

const TABLES = `
  SELECT n.nspname AS schema, c.relname AS table
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relname LIKE '%knex\\_migrations'
  ORDER BY 1, 2`;

/**
 * Reads what was applied in one database.
 *
 * @param pluginOf - the plugin whose tables are in a schema.
 */
export async function readMigrationTables(
  database: string,
  pluginOf: (schema: string) => string | undefined,
  { rows }: Queries,
): Promise<MigrationTable[]> {
  const found = await rows<{ schema: string; table: string }>(TABLES);
  const tables: MigrationTable[] = [];
  for (const { schema, table } of found) {
    const plugin = pluginOf(schema);
    if (plugin === undefined) continue;
    const applied = await rows<AppliedMigration>(
      `SELECT name, batch, migration_time AS at
       FROM ${escapeIdentifier(schema)}.${escapeIdentifier(table)} ORDER BY id`,
    );
    tables.push({ database, schema, table, plugin, applied });
  }
  return tables;
}
