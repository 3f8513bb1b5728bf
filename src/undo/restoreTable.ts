import { pipeline } from 'node:stream/promises';
import { escapeIdentifier } from 'pg';
import { commonColumns, commonKey } from './compareTable';
import type { Session } from './session';
import { type ForeignKey, pathOf, type Table } from './tables';

export interface Restored {
  inserted: number;
  replaced: number;
}

export interface RestoreOptions {
  then: { table: Table; session: Session };
  /** In a transaction. */
  now: { table: Table; session: Session };
  /** What the database gives itself. */
  own: readonly string[];
  /** Whether rows that have changed are set back. */
  replace: boolean;
}

const list = (columns: readonly string[], prefix = '') =>
  columns.map(name => prefix + escapeIdentifier(name)).join(', ');

const TEMPORARY = 'pg_temp.backstage_lakebase_undo';

/**
 * Brings the rows back that are gone. They stream through this process into a
 * temporary table beside the real one, and Postgres takes what is missing.
 * Newer rows win, and what refers to a row that is not there is left out.
 */
export async function restoreTable({
  then,
  now,
  own,
  replace,
}: RestoreOptions): Promise<Restored> {
  const { rows, change, copyIn } = now.session;
  const generated = [...then.table.columns, ...now.table.columns]
    .filter(column => column.generated)
    .map(({ name }) => name);
  const columns = commonColumns(then.table, now.table, [...own, ...generated]);
  const key = commonKey(then.table, now.table);
  const target = pathOf(now.table);
  await rows(
    `CREATE TEMPORARY TABLE backstage_lakebase_undo ON COMMIT DROP AS
     SELECT ${list(columns)} FROM ${target} WITH NO DATA`,
  );
  await pipeline(
    then.session.copyOut(
      `COPY (SELECT ${list(columns)} FROM ${pathOf(then.table)}) TO STDOUT`,
    ),
    copyIn(`COPY ${TEMPORARY} (${list(columns)}) FROM STDIN`),
  );
  await rows(`ANALYZE ${TEMPORARY}`);
  const parents = now.table.foreignKeys
    .filter(it => it.columns.every(name => columns.includes(name)))
    .map(it => ` AND ${hasParent(it, now.table)}`)
    .join('');
  const missing =
    key.length > 0
      ? `SELECT ${list(columns, 'x.')} FROM ${TEMPORARY} x
         WHERE NOT EXISTS (SELECT FROM ${target} t WHERE (${list(key, 't.')}) = (${list(key, 'x.')}))`
      : missingOfKeyless(columns, target);
  const inserted = await change(
    `INSERT INTO ${target} (${list(columns)}) OVERRIDING SYSTEM VALUE
     ${missing}${parents} ON CONFLICT DO NOTHING`,
  );
  const values = columns.filter(name => !key.includes(name));
  const replaced =
    replace && key.length > 0 && values.length > 0
      ? await change(
          `UPDATE ${target} t SET ${values
            .map(
              name => `${escapeIdentifier(name)} = x.${escapeIdentifier(name)}`,
            )
            .join(', ')}
           FROM ${TEMPORARY} x WHERE (${list(key, 't.')}) = (${list(key, 'x.')})
             AND ROW(${list(values, 't.')})::text <> ROW(${list(values, 'x.')})::text${parents}`,
        )
      : 0;
  await rows(`DROP TABLE ${TEMPORARY}`);
  return { inserted, replaced };
}

/** As often as it was there, less as often as it still is. */
const missingOfKeyless = (columns: readonly string[], target: string) => `
  SELECT ${list(columns, 'x.')} FROM (
    SELECT *, pg_catalog.row_number() OVER (PARTITION BY digest) AS copy
    FROM (SELECT *, pg_catalog.md5(ROW(${list(columns)})::text) AS digest FROM ${TEMPORARY}) d) x
  LEFT JOIN (
    SELECT pg_catalog.md5(ROW(${list(columns)})::text) AS digest, count(*) AS copies
    FROM ${target} GROUP BY 1) t ON t.digest = x.digest
  WHERE x.copy > coalesce(t.copies, 0)`;

function hasParent(
  { columns, parent, parentColumns }: ForeignKey,
  { schema, name }: Table,
): string {
  // Its own rows come with it, and are checked at the end of the statement.
  if (parent === name) return 'true';
  const unset = columns
    .map(column => `x.${escapeIdentifier(column)} IS NULL`)
    .join(' OR ');
  return `(${unset} OR EXISTS (SELECT FROM ${pathOf({ schema, name: parent })} p
    WHERE (${list(parentColumns, 'p.')}) = (${list(columns, 'x.')})))`;
}
