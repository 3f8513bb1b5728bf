import type { BlockedTable } from './blockedTables';
import type { ChangedRows } from './changedRows';
import type { LoggedStatement } from './statementLog';

/** What one migration did on a copy. Times are in milliseconds. */
export interface MigrationReport {
  file: string;
  transactional: boolean;
  ms: number;
  statements: LoggedStatement[];
  /** By tries of other connections. */
  blocked: BlockedTable[];
  changes: ChangedRows[];
  /** What is gone after it, in words. */
  lost: string[];
  /** Why it failed. */
  error?: string;
  /** Missing where it was not tried. */
  down?: DownReport;
  again?: AgainReport;
}

export interface DownReport {
  ms: number;
  /** Why it failed. */
  error?: string;
  /** How many it ran. */
  statements: number;
  /**
   * Between the schema before the migration and the one after its `down`,
   * without those that were there when the later ones had been taken back.
   */
  differences: string[];
}

export interface AgainReport {
  ms: number;
  /** Why it failed. */
  error?: string;
  /** Between the schema after the first time and the one after the second. */
  differences: string[];
  /** What the way back and forth has cost, in words. */
  lost: string[];
}
