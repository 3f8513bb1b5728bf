import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Session } from './session';

export interface Column {
  name: string;
  type: string;
  /** Postgres computes it, and takes no value. */
  generated: boolean;
}

/** From a table to the one whose rows it refers to. */
export interface ForeignKey {
  columns: string[];
  parent: string;
  parentColumns: string[];
  /** Rows go with those that they refer to. */
  cascades: boolean;
}

export interface Table {
  schema: string;
  name: string;
  columns: Column[];
  /** What tells rows apart; empty where nothing does. */
  key: string[];
  foreignKeys: ForeignKey[];
}

/** Of the primary key, or of a unique index over columns that are never null. */
const KEY = `
  SELECT pg_catalog.array_agg(a.attname::text ORDER BY p.ord) AS key
  FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY p (attnum, ord)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.attnum
  HAVING pg_catalog.bool_and(a.attnotnull) AND count(*) = i.indnatts`;

const names = (relation: string, numbers: string) => `
  (SELECT pg_catalog.array_agg(a.attname::text ORDER BY p.ord)
   FROM pg_catalog.unnest(${numbers}) WITH ORDINALITY p (attnum, ord)
   JOIN pg_catalog.pg_attribute a ON a.attrelid = ${relation} AND a.attnum = p.attnum)`;

const tablesIn = (schema: string) => `
  SELECT n.nspname AS schema, c.relname AS name,
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
       'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
       'generated', a.attgenerated <> '') ORDER BY a.attnum)
     FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    coalesce((
      SELECT k.key FROM pg_catalog.pg_index i CROSS JOIN LATERAL (${KEY}) k
      WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
        AND i.indpred IS NULL AND i.indexprs IS NULL
      ORDER BY i.indisprimary DESC, i.indnatts, i.indexrelid LIMIT 1), '{}') AS key,
    coalesce((
      SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
        'columns', ${names('f.conrelid', 'f.conkey')},
        'parent', p.relname, 'parentColumns', ${names('f.confrelid', 'f.confkey')},
        'cascades', f.confdeltype = 'c') ORDER BY f.conname)
      FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class p ON p.oid = f.confrelid
      WHERE f.conrelid = c.oid AND f.contype = 'f'
        AND p.relnamespace = c.relnamespace), '[]') AS "foreignKeys"
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname = ${escapeLiteral(schema)}
    AND c.relname NOT LIKE '%knex\\_migrations' AND c.relname NOT LIKE '%knex\\_migrations\\_%'
  ORDER BY 2`;

/** The tables of a schema, without those of Knex. */
export const readTables = (
  schema: string,
  { rows }: Session,
): Promise<Table[]> => rows<Table>(tablesIn(schema));

export const pathOf = ({ schema, name }: Pick<Table, 'schema' | 'name'>) =>
  `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;

/** Parents first; those of a circle in the order in which they stand. */
export function inOrderOfKeys(tables: readonly Table[]): Table[] {
  const sorted: Table[] = [];
  const visit = (table: Table, path: readonly Table[]) => {
    if (sorted.includes(table) || path.includes(table)) return;
    for (const { parent } of table.foreignKeys) {
      const found = tables.find(({ name }) => name === parent);
      if (found) visit(found, [...path, table]);
    }
    sorted.push(table);
  };
  tables.forEach(table => visit(table, []));
  return sorted;
}

/** These, and those whose rows go with theirs. */
export function withCascades(
  chosen: readonly string[],
  tables: readonly Table[],
): string[] {
  const all = new Set(chosen);
  for (;;) {
    const more = tables.filter(
      ({ name, foreignKeys }) =>
        !all.has(name) &&
        foreignKeys.some(({ cascades, parent }) => cascades && all.has(parent)),
    );
    if (more.length === 0) return [...all];
    more.forEach(({ name }) => all.add(name));
  }
}
