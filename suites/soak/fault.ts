import type { Emulator, RefusalKind } from '../../emulator';
import type { Child } from '../../testbed/childProcess';
import type { Dice } from './dice';
import type { Secrets } from './secrets';

/** What faults are done to. */
export interface Victim {
  emulator: Emulator;
  secrets: Secrets;
  backend: Child;
}

export interface Fault {
  what: string;
  /** Beyond what is in flight while it strikes, nothing may ever fail. */
  mayFail: 'nothing' | 'what is in flight';
  /** What the gateway may say to logins because of it. */
  refuses?: RefusalKind[];
  /** How often it makes a credential worthless that would live on. */
  credentialsSpoilt?: number;
  /** Waits for the moment at which it makes sense. */
  ready?(victim: Victim): Promise<void>;
  strike(victim: Victim): unknown;
  /** Resolves once somebody has met it; only then does its time begin. */
  met?(victim: Victim): Promise<unknown>;
  lastsMs: number;
  end?(victim: Victim): unknown;
  /** Resolves when it is over and done with for Backstage as well. */
  over?(victim: Victim): Promise<unknown>;
}

/** A kind of fault: draws what is left open. */
export type Draw = (dice: Dice) => Fault;
