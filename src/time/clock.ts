import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Time and randomness, injected: tests take milliseconds and never sleep.
 * Nothing else in this package sets a timer or looks at a clock.
 */
export interface Clock {
  /** Wall-clock time in ms: goes on during sleep, but may be stepped. */
  wall(): number;
  /** Monotonic time in ms: never stepped, but may stand still during sleep. */
  monotonic(): number;
  /**
   * Runs `callback` after `delayMs`, without keeping the process alive.
   *
   * @returns what cancels it.
   */
  schedule(callback: () => void, delayMs: number): () => void;
  /**
   * The same for the bound on something that somebody waits for: keeps the
   * process alive until it is cancelled.
   */
  bound(callback: () => void, delayMs: number): () => void;
  /**
   * Resolves after `delayMs`, for somebody who waits for it.
   *
   * @throws when `signal` aborts before.
   */
  pause(delayMs: number, signal?: AbortSignal): Promise<void>;
  /** Uniform in [0, 1). */
  random(): number;
}

/** A timer above 2^31-1 ms (24.8 days) would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(callback, delayMs) {
    const timer = setTimeout(callback, Math.min(delayMs, MAX_TIMER_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
  bound(callback, delayMs) {
    const timer = setTimeout(callback, Math.min(delayMs, MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
  pause: (delayMs, signal) =>
    sleep(Math.min(delayMs, MAX_TIMER_MS), undefined, { signal }),
  random: Math.random,
};

export interface Instant {
  wall: number;
  monotonic: number;
}

export const instant = (clock: Clock): Instant => ({
  wall: clock.wall(),
  monotonic: clock.monotonic(),
});

/**
 * The larger of the two clocks: the wall clock sees a sleep, the monotonic one
 * is not fooled by a clock that was set back.
 */
export const elapsedMs = (clock: Clock, since: Instant): number =>
  Math.max(clock.wall() - since.wall, clock.monotonic() - since.monotonic);
