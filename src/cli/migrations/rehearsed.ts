import type { SetReport } from '../../migrations/rehearsal';
import type { Verdict } from '../../migrations/verdict';

/** What a rehearsal has shown. */
export interface Rehearsed {
  verdict: Verdict;
  sets: SetReport[];
  notCovered: string[];
  /** The branch that was copied. */
  source: string;
  /** When, or which moment of its past. */
  at: string;
  /** Age of production's oldest open transaction, by database. */
  longestMs: Record<string, number | undefined>;
}

/** What scripts get. Times are in milliseconds. */
export const toJson = ({ sets, ...rehearsed }: Rehearsed) => ({
  version: 1,
  ...rehearsed,
  sets: sets.map(({ set, ...report }) => ({
    plugin: set.plugin,
    package: set.folder.package,
    packageVersion: set.folder.version,
    database: set.database,
    schema: set.schema,
    table: set.table,
    ...report,
  })),
});
