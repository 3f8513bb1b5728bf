import { Config } from '@backstage/config';
import type { PluginDatabase } from '../../config/pluginDatabase';
import type { EndpointAccess, Session } from '../endpointAccess';

/** What a check found. */
export interface Finding {
  status: 'ok' | 'warn' | 'fail';
  /** A sentence, without its full stop. */
  message: string;
  /** What to do about it, in words. */
  cure?: string;
  /** Commands, SQL or configuration to copy; no blank is to be changed. */
  paste?: string[];
}

/** A finding, or the reason why there is none. */
export interface Result extends Omit<Finding, 'status'> {
  /** Absent for what concerns them all. */
  endpoint?: string;
  check: string;
  status: Finding['status'] | 'skipped';
}

/** A schema that is there for the tables of a plugin. */
export interface Place {
  database: string;
  schema: string;
  /** How the plugin logs in there. */
  settings: PluginDatabase;
}

/** One endpoint under examination. Checks fill in what later ones need. */
export interface Examination {
  rootConfig: Config;
  access: EndpointAccess;
  replicas: number;
  /** How many plugins there are beside those mentioned by name. */
  otherPlugins?: number;
  session?: Session;
  places?: Place[];
}

export interface Check {
  title: string;
  /** Titles of checks without whose success this one says nothing. */
  needs: string[];
  run(examination: Examination): Promise<Finding[]>;
}

export const ok = (message: string): Finding[] => [{ status: 'ok', message }];

/** What a check needs was filled in by a check that it names in `needs`. */
export function filledIn<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('A check lacks one of its needs');
  return value;
}
