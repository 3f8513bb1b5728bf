import type { Knex } from 'knex';
import { escapeLiteral } from 'pg';
import { queriesOf } from './queries';

/** Rows of a table that were written. */
export interface ChangedRows {
  table: string;
  inserted: number;
  changed: number;
  deleted: number;
}

/**
 * What the transaction has written until now; without one, what everybody has,
 * as far as the server has counted it.
 */
export function readChanges(
  schema: string,
  knex: Knex,
): Promise<ChangedRows[]> {
  const counts = knex.isTransaction
    ? 'pg_stat_xact_user_tables'
    : 'pg_stat_user_tables';
  return queriesOf(knex).rows<ChangedRows>(`
    SELECT relname AS table, n_tup_ins::float8 AS inserted,
           n_tup_upd::float8 AS changed, n_tup_del::float8 AS deleted
    FROM pg_catalog.${counts}
    WHERE schemaname = ${escapeLiteral(schema)}
      AND relname NOT LIKE '%knex\\_migrations%' ORDER BY 1`);
}

/** What came after `before`, of tables with anything. */
export const changesSince = (
  before: readonly ChangedRows[],
  now: readonly ChangedRows[],
): ChangedRows[] =>
  now
    .map(({ table, inserted, changed, deleted }) => {
      const old = before.find(it => it.table === table);
      return {
        table,
        inserted: inserted - (old?.inserted ?? 0),
        changed: changed - (old?.changed ?? 0),
        deleted: deleted - (old?.deleted ?? 0),
      };
    })
    .filter(it => it.inserted > 0 || it.changed > 0 || it.deleted > 0);
