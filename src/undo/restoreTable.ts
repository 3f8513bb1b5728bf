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
  then: Side;
  /** In a transaction. */
  now: Side;
  /** What the database gives itself. */
  own: readonly string[];
  /** Whether rows that have changed are set back. */
  replace: boolean;
  /** What the rows are as new as. */
  followed?: Followed;
}

/** A table whose rows are left alone with those that follow them. */
export interface Followed {
  column: string;
  then: Table;
  now: Table;
  own: readonly string[];
}

const list = (columns: readonly string[], prefix = '') =>
  columns.map(name => prefix + escapeIdentifier(name)).join(', ');

const TEMPORARY = 'pg_temp.backstage_lakebase_undo';
const FOLLOWED = 'pg_temp.backstage_lakebase_followed';

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
  followed,
}: RestoreOptions): Promise<Restored> {
  const { rows, change } = now.session;
  const generated = [...then.table.columns, ...now.table.columns]
    .filter(column => column.generated)
    .map(({ name }) => name);
  const columns = commonColumns(then.table, now.table, [...own, ...generated]);
  const key = commonKey(then.table, now.table, own);
  const target = pathOf(now.table);
  await copyBeside(TEMPORARY, columns, then, now);
  let isOld = '';
  if (followed) {
    const compared = commonColumns(followed.then, followed.now, followed.own);
    await copyBeside(
      FOLLOWED,
      compared,
      { table: followed.then, session: then.session },
      { table: followed.now, session: now.session },
    );
    const column = escapeIdentifier(followed.column);
    isOld = ` AND NOT EXISTS (
      SELECT FROM ${pathOf(followed.now)} p JOIN ${FOLLOWED} q ON q.${column} = p.${column}
      WHERE p.${column} = x.${column}
        AND ROW(${list(compared, 'p.')})::text <> ROW(${list(compared, 'q.')})::text)`;
  }
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
     ${missing}${parents}${isOld} ON CONFLICT DO NOTHING`,
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
  if (followed) await rows(`DROP TABLE ${FOLLOWED}`);
  return { inserted, replaced };
}

interface Side {
  table: Table;
  session: Session;
}

/** Streams what was there then into a temporary table of now. */
async function copyBeside(
  temporary: string,
  columns: readonly string[],
  then: Side,
  now: Side,
): Promise<void> {
  const { rows, copyIn } = now.session;
  await rows(
    `CREATE TEMPORARY TABLE ${temporary} ON COMMIT DROP AS
     SELECT ${list(columns)} FROM ${pathOf(now.table)} WITH NO DATA`,
  );
  await pipeline(
    then.session.copyOut(
      `COPY (SELECT ${list(columns)} FROM ${pathOf(then.table)}) TO STDOUT`,
    ),
    copyIn(`COPY ${temporary} (${list(columns)}) FROM STDIN`),
  );
  await rows(`ANALYZE ${temporary}`);
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
