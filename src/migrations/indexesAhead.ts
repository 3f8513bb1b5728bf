import type { Knex } from 'knex';
import { escapeIdentifier } from 'pg';
import type { MigrationReport } from './report';

/** An index that can be built before the upgrade, while the portal runs. */
export interface IndexAhead {
  file: string;
  sql: string;
  /** What the migration took without it, and with it. */
  msBefore: number;
  msAfter: number;
}

interface Candidate extends Omit<IndexAhead, 'msAfter'> {
  drop: string;
}

/** What is quicker is no trouble at a start. */
const WORTHWHILE_MS = 500;

const CREATE_INDEX =
  /^\s*create\s+(unique\s+)?index\s+(concurrently\s+)?(if\s+not\s+exists\s+)?("?)([^\s"]+)\4\s+(on\s.*)$/is;

/** Indexes that took long to build. */
export const candidatesOf = (
  reports: readonly MigrationReport[],
): Candidate[] =>
  reports.flatMap(({ file, ms, statements }) =>
    statements
      .filter(statement => statement.ms >= WORTHWHILE_MS)
      .flatMap(({ sql }) => {
        const match = CREATE_INDEX.exec(sql);
        if (!match) return [];
        const name = escapeIdentifier(match[5]);
        return {
          file,
          sql: `CREATE ${match[1] ? 'UNIQUE ' : ''}INDEX CONCURRENTLY IF NOT EXISTS ${name} ${match[6].trim()};`,
          msBefore: ms,
          drop: `DROP INDEX CONCURRENTLY IF EXISTS ${name}`,
        };
      }),
  );

/**
 * Builds them, where that is possible as long as the migrations have not run.
 *
 * @returns those that are there now.
 */
export async function buildAhead(
  knex: Knex,
  candidates: readonly Candidate[],
): Promise<Candidate[]> {
  const built: Candidate[] = [];
  for (const candidate of candidates) {
    try {
      await knex.raw(candidate.sql);
      built.push(candidate);
    } catch {
      // It needs what a migration makes first, or its rows are not unique yet.
      await drop(knex, [candidate]);
    }
  }
  return built;
}

export async function drop(
  knex: Knex,
  candidates: readonly Candidate[],
): Promise<void> {
  for (const candidate of candidates) await knex.raw(candidate.drop);
}
