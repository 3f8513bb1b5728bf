import type { Client } from './client';
import type { Installation } from './installation';

/** A backend, as those see it who use it. */
export interface Backstage {
  name: string;
  service: Client;
  user: Client;
}

/** Where a plugin is tried out. */
export interface Stage {
  /** Where something is done; */
  here: Backstage;
  /** ... and where that has to show: another replica, if there is one. */
  there: Backstage;
  installation: Installation;
  signal: AbortSignal;
}

/** Tries out one plugin. */
export interface Check<Kept = unknown> {
  plugin: string;
  /** What is tried out, for the page. */
  does: string;
  /**
   * @param kept - What it returned before the backend was started again.
   * @throws with what does not work.
   */
  run(stage: Stage, kept?: Kept): Promise<Kept>;
}

export function expect(fulfilled: boolean, what: string): asserts fulfilled {
  if (!fulfilled) throw new Error(`Expected ${what}`);
}
