import { setTimeout as sleep } from 'node:timers/promises';
import { onDeadline } from '../../testbed/signals';
import { waitFor } from '../../testbed/waiting';
import type { Dice } from './dice';
import { ENDPOINT_FAULTS } from './endpointFaults';
import type { Draw, Fault, Victim } from './fault';
import type { Journal } from './journal';
import { WORKSPACE_FAULTS } from './workspaceFaults';

const KINDS = [...WORKSPACE_FAULTS, ...ENDPOINT_FAULTS];

/** So that what comes of a fault comes before the next one. */
const PAUSE_MS = 2_000;

/** Slow is no failure here, but a fault must be met, and be got over. */
const PATIENCE_MS = 180_000;

/** Each kind once, in random order, before any of them comes again. */
function* drawn(dice: Dice): Generator<Fault> {
  for (;;) {
    for (const draw of dice.shuffled<Draw>(KINDS)) yield draw(dice);
  }
}

/** One fault after the other until `until`, by `performance.now()`. */
export async function strikeUntil(
  until: number,
  dice: Dice,
  victim: Victim,
  journal: Journal,
  signal: AbortSignal,
): Promise<Fault[]> {
  const struck: Fault[] = [];
  for (const fault of drawn(dice)) {
    if (performance.now() > until) return struck;
    struck.push(fault);
    const work = () => strike(fault, victim, journal);
    const patience = AbortSignal.any([signal, onDeadline(PATIENCE_MS)]);
    await waitFor(() => `the end of this fault: ${fault.what}`, work, patience);
    await sleep(PAUSE_MS, undefined, { signal });
  }
  return struck;
}

async function strike(
  fault: Fault,
  victim: Victim,
  journal: Journal,
): Promise<void> {
  await fault.ready?.(victim);
  const hasStruck = journal.strikes(fault);
  // Begun before it strikes, or what it waits for could come and go.
  const met = fault.met?.(victim);
  await fault.strike(victim);
  await noticed(victim);
  hasStruck();

  await met;
  await sleep(fault.lastsMs);
  await fault.end?.(victim);
  await fault.over?.(victim);
}

/** The second answer comes after all that the first one found waiting. */
async function noticed({ backend }: Victim): Promise<void> {
  await backend.ask('ping');
  await backend.ask('ping');
}
