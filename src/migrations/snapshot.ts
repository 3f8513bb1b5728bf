import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Queries } from './queries';

export interface TableSnapshot {
  oid: number;
  name: string;
  rows: number;
  columns: ColumnSnapshot[];
}

export interface ColumnSnapshot {
  /** Stays when it is renamed. */
  number: number;
  name: string;
  /** Rows in which it is neither null nor an empty text. */
  filled: number;
}

/** What a schema looks like, and how much is in it. */
export interface Snapshot {
  tables: TableSnapshot[];
  /** One line for each thing that Postgres can define again. */
  definitions: string[];
}

/** Knex's own are none of a plugin's. */
const NOT_KNEX = (column: string) =>
  `${column} NOT LIKE '%knex\\_migrations' AND ${column} NOT LIKE '%knex\\_migrations\\_%'`;

const tablesIn = (schema: string) => `
  SELECT c.oid::int, c.relname AS name,
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
              'number', a.attnum, 'name', a.attname, 'isText', t.typcategory = 'S') ORDER BY a.attnum)
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
  FROM pg_catalog.pg_class c
  WHERE c.relnamespace = (
      SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ${escapeLiteral(schema)})
    AND c.relkind IN ('r', 'p') AND ${NOT_KNEX('c.relname')}
  ORDER BY 2`;

const definitionsIn = (schema: string) => `
  WITH home AS (
    SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ${escapeLiteral(schema)}),
  relations AS (
    SELECT c.* FROM pg_catalog.pg_class c JOIN home ON c.relnamespace = home.oid
    WHERE ${NOT_KNEX('c.relname')})
  SELECT pg_catalog.concat_ws(' ', 'column', r.relname || '.' || a.attname,
      pg_catalog.format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attnotnull THEN 'NOT NULL' END,
      'DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid),
      'OPTIONS ' || a.attoptions::text,
      CASE WHEN a.attidentity <> '' THEN 'IDENTITY ' || a.attidentity::text END,
      CASE WHEN a.attgenerated <> '' THEN 'GENERATED ' || a.attgenerated::text END) AS line
  FROM relations r
  JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE r.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'options of', r.relname, r.reloptions::text)
  FROM relations r WHERE r.reloptions IS NOT NULL
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'constraint', r.relname || '.' || c.conname,
      pg_catalog.pg_get_constraintdef(c.oid),
      CASE WHEN NOT c.convalidated THEN 'NOT VALIDATED' END)
  FROM relations r JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid
  -- Newer versions of Postgres list these as constraints, too.
  WHERE c.contype <> 'n'
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'index', pg_catalog.pg_get_indexdef(i.indexrelid),
      CASE WHEN NOT i.indisvalid THEN 'INVALID' END)
  FROM relations r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
  UNION ALL
  SELECT 'statistics ' || pg_catalog.pg_get_statisticsobjdef(s.oid)
  FROM pg_catalog.pg_statistic_ext s JOIN home ON s.stxnamespace = home.oid
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'trigger', pg_catalog.pg_get_triggerdef(t.oid),
      CASE WHEN t.tgenabled <> 'O' THEN 'ENABLED ' || t.tgenabled::text END)
  FROM relations r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid
  WHERE NOT t.tgisinternal
  UNION ALL
  SELECT 'function ' || pg_catalog.pg_get_functiondef(p.oid)
  FROM pg_catalog.pg_proc p JOIN home ON p.pronamespace = home.oid
  WHERE p.prokind IN ('f', 'p')
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'view', r.relname, pg_catalog.pg_get_viewdef(r.oid))
  FROM relations r WHERE r.relkind IN ('v', 'm')
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'sequence', r.relname,
      pg_catalog.format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement)
  FROM relations r JOIN pg_catalog.pg_sequence s ON s.seqrelid = r.oid
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'type', t.typname, (
      SELECT pg_catalog.string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)
      FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
  FROM pg_catalog.pg_type t JOIN home ON t.typnamespace = home.oid
  WHERE t.typtype = 'e'
  ORDER BY 1`;

/** Reads every table once: for copies, not for production. */
export async function takeSnapshot(
  schema: string,
  queries: Queries,
): Promise<Snapshot> {
  const found = await queries.rows<{
    oid: number;
    name: string;
    columns: { number: number; name: string; isText: boolean }[] | null;
  }>(tablesIn(schema));
  const tables: TableSnapshot[] = [];
  for (const { oid, name, columns } of found) {
    const counted = (columns ?? []).map(({ name: column, isText }, index) => {
      const value = escapeIdentifier(column);
      const filled = isText ? `nullif(${value}, '')` : value;
      return `count(${filled})::float8 AS c${index}`;
    });
    const [counts] = await queries.rows<Record<string, number>>(
      `SELECT ${['count(*)::float8 AS rows', ...counted].join(', ')}
       FROM ${escapeIdentifier(schema)}.${escapeIdentifier(name)}`,
    );
    tables.push({
      oid,
      name,
      rows: counts.rows,
      columns: (columns ?? []).map(({ number, name: column }, index) => ({
        number,
        name: column,
        filled: counts[`c${index}`],
      })),
    });
  }
  const lines = await queries.rows<{ line: string }>(definitionsIn(schema));
  return { tables, definitions: lines.map(({ line }) => line) };
}

/** What was in the first one and is not in the second one, in words. */
export function dataLost(before: Snapshot, after: Snapshot): string[] {
  return before.tables.flatMap(table => {
    const now = counterpart(table, after);
    if (!now) {
      return table.rows > 0
        ? [`table ${table.name} is dropped with ${count(table.rows, 'row')}`]
        : [];
    }
    const rows = table.rows - now.rows;
    const gone = rows > 0 ? [`${count(rows, 'row')} of ${table.name} go`] : [];
    return [...gone, ...valuesLost(table, now)];
  });
}

function valuesLost(table: TableSnapshot, now: TableSnapshot): string[] {
  const rows = Math.max(0, table.rows - now.rows);
  return table.columns.flatMap(column => {
    const found =
      (now.oid === table.oid
        ? now.columns.find(({ number }) => number === column.number)
        : undefined) ?? now.columns.find(({ name }) => name === column.name);
    const path = `${table.name}.${column.name}`;
    if (!found) {
      return column.filled > 0
        ? [`column ${path} is dropped with ${count(column.filled, 'value')}`]
        : [];
    }
    // With a row its values go, which has been said.
    const lost = column.filled - found.filled - rows;
    return lost > 0 ? [`${count(lost, 'value')} of ${path} become null`] : [];
  });
}

/** Renamed or built anew, it is the same table. */
const counterpart = (table: TableSnapshot, { tables }: Snapshot) =>
  tables.find(({ oid }) => oid === table.oid) ??
  tables.find(({ name }) => name === table.name);

/** Lines that only one of them has: `-` the first, `+` the second. */
export function differences(before: Snapshot, after: Snapshot): string[] {
  const [old, now] = [new Set(before.definitions), new Set(after.definitions)];
  return [
    ...before.definitions.filter(line => !now.has(line)).map(it => `- ${it}`),
    ...after.definitions.filter(line => !old.has(line)).map(it => `+ ${it}`),
  ];
}

const count = (number: number, what: string) =>
  `${number.toLocaleString('en')} ${what}${number === 1 ? '' : 's'}`;
