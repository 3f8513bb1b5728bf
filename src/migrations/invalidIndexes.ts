import { escapeLiteral } from 'pg';
import type { Queries } from './queries';

/** Indexes that a build without a transaction has left unfinished. */
export async function findInvalidIndexes(
  schema: string,
  { rows }: Queries,
): Promise<string[]> {
  const found = await rows<{ name: string }>(`
    SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND n.nspname = ${escapeLiteral(schema)} ORDER BY 1`);
  return found.map(({ name }) => name);
}
