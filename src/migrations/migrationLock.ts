import { escapeIdentifier } from 'pg';
import type { MigrationSet } from './migrationPlan';
import type { Queries } from './queries';
import { describeProcess, type ServerProcess } from './serverProcess';

const WORKERS = `
  SELECT pid, since,
    pg_catalog.concat_ws(' ', usename::text, nullif(application_name, ''), client_addr::text) AS name
  FROM (
    SELECT *, coalesce(xact_start, query_start) AS since
    FROM pg_catalog.pg_stat_activity) s
  WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
    AND state <> 'idle'
  ORDER BY since`;

/** Whether somebody migrates these tables, or did when it was killed. */
export async function isLocked(
  set: MigrationSet,
  { rows }: Queries,
): Promise<boolean> {
  const [{ found }] = await rows<{ found: boolean }>(
    `SELECT pg_catalog.to_regclass($1) IS NOT NULL AS found`,
    [lockTable(set)],
  );
  if (!found) return false;
  const locked = await rows(
    `SELECT FROM ${lockTable(set)} WHERE is_locked = 1`,
  );
  return locked.length > 0;
}

/**
 * Who holds it since when, as far as Postgres knows, and what frees it.
 *
 * @returns sentences, and the statement.
 */
export async function describeLock(
  set: MigrationSet,
  queries: Queries,
): Promise<{ problem: string; remedy: string; statement: string }> {
  const workers = await queries.rows<ServerProcess>(WORKERS);
  const last = set.applied.at(-1)?.at;
  const since = last
    ? `, taken after ${set.applied.at(-1)!.name} of ${last.toISOString()}`
    : '';
  const who =
    workers.length > 0
      ? `at work there: ${workers.map(describeProcess).join(', ')}`
      : 'nobody is at work there, so whoever took it is gone';
  const table = lockTable(set);
  return {
    problem: `The migrations of plugin ${set.plugin} are locked (${set.database}, ${table})${since}; ${who}`,
    remedy:
      'Wait for those who migrate; where nobody does any more, free the lock in that database',
    statement: freeLock(table),
  };
}

/** What frees the lock of somebody who is gone. */
export const freeLock = (table: string): string =>
  `DELETE FROM ${table}; INSERT INTO ${table} (is_locked) VALUES (0);`;

const lockTable = ({ schema, table }: MigrationSet) =>
  `${escapeIdentifier(schema)}.${escapeIdentifier(`${table}_lock`)}`;
