import { type Clock, elapsedMs, instant } from './clock';

/** What is waited for takes a second or so; looks grow apart up to this. */
const FIRST_MS = 200;
const LONGEST_MS = 5_000;

export interface PollOptions {
  clock: Clock;
  /** Ends a pause. */
  signal: AbortSignal;
  patienceMs: number;
  /** What to throw once that is over. */
  gaveUp: () => Error;
}

/**
 * For looking again at what somebody else does.
 *
 * @returns what pauses between two looks, longer each time, and not for ever.
 */
export function pausesBetweenLooks({
  clock,
  signal,
  patienceMs,
  gaveUp,
}: PollOptions): () => Promise<void> {
  const since = instant(clock);
  let longestMs = FIRST_MS;
  return async () => {
    if (elapsedMs(clock, since) > patienceMs) throw gaveUp();
    const jitter = 1 - clock.random() / 2;
    await clock.pause(longestMs * jitter, signal);
    longestMs = Math.min(LONGEST_MS, longestMs * 2);
  };
}
