import type { PluginDatabase } from '../../config/pluginDatabase';
import type { DatabaseAccess, OpenDatabase } from '../databaseAccess';
import type { Explanation } from '../../errors';

/** What a check found. */
export interface Finding {
  status: 'ok' | 'warn' | 'fail';
  /** A sentence, without its full stop. */
  message: string;
  /** What to do about it, in words. */
  remedy?: string;
  /** Commands, SQL or configuration to copy; never wrapped. */
  statements?: readonly string[];
}

/** A finding, or the reason why there is none. */
export interface Result extends Omit<Finding, 'status'> {
  /** Absent for what concerns them all. */
  endpoint?: string;
  check: string;
  status: Finding['status'] | 'skipped';
}

/** Where there is a schema for the tables of a plugin. */
export interface PluginTables {
  database: string;
  schema: string;
  /** How the plugin logs in there. */
  plugin: PluginDatabase;
}

/** One endpoint under examination. Checks fill in what later ones need. */
export interface Examination {
  access: DatabaseAccess;
  replicas: number;
  /** How many plugins there are in addition to those mentioned by name. */
  otherPlugins?: number;
  database?: OpenDatabase;
  tables?: PluginTables[];
}

export interface Check {
  title: string;
  /** Titles of checks without whose success this one says nothing. */
  needs: string[];
  run(examination: Examination): Promise<Finding[]>;
}

export const ok = (message: string): Finding[] => [{ status: 'ok', message }];

/** What failed, or a right that is missing, with what to do about it. */
export const fail = ({ problem, ...cure }: Explanation): Finding => ({
  status: 'fail',
  message: problem,
  ...cure,
});

/** What a check needs was filled in by a check that it names in `needs`. */
export function needFilled<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('A check lacks one of its needs');
  return value;
}
