import type { Emulator } from '../emulator';
import type { Clock } from '../src/time/clock';

interface Timer {
  callback: () => void;
  /** On the monotonic clock, as in Node. */
  dueAt: number;
}

/** Time and chance that stand still until a test moves them. */
export class FakeClock implements Clock {
  random: () => number = () => 0.5;
  /** Timers longer than this fire early, as Node's do after 24.8 days. */
  longestTimerMs = Infinity;
  #wall = Date.parse('2026-01-01T00:00:00Z');
  #monotonic = 0;
  readonly #timers = new Set<Timer>();

  wall(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  schedule(callback: () => void, delayMs: number): () => void {
    // As in Node: whole milliseconds, and so perhaps a little early.
    const wholeMs = Math.trunc(delayMs) || 1;
    const dueAt = this.#monotonic + Math.min(wholeMs, this.longestTimerMs);
    const timer = { callback, dueAt };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Lets time pass, and everything happen that happens meanwhile. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    for (;;) {
      await settle();
      const timer = this.#earliest();
      if (!timer || timer.dueAt > end) break;

      this.#pass(Math.max(0, timer.dueAt - this.#monotonic));
      this.#timers.delete(timer);
      timer.callback();
    }
    this.#pass(end - this.#monotonic);
  }

  /** The machine sleeps: only the wall clock goes on. */
  sleep(ms: number): void {
    this.#wall += ms;
  }

  /** Somebody sets the wall clock. */
  setWall(change: { byMs: number }): void {
    this.#wall += change.byMs;
  }

  /** The event loop is busy: time passes, but no timer fires. */
  block(ms: number): void {
    this.#pass(ms);
  }

  #earliest(): Timer | undefined {
    return [...this.#timers].sort((a, b) => a.dueAt - b.dueAt)[0];
  }

  #pass(ms: number): void {
    this.#wall += ms;
    this.#monotonic += ms;
  }
}

/** Until every promise that can go on has gone on. */
export const settle = () =>
  new Promise<void>(resolve => setImmediate(() => resolve()));

/** Lets the same time pass on the platform and here. */
export async function passTime(
  emulator: Emulator,
  clock: FakeClock,
  ms: number,
): Promise<void> {
  emulator.controlPlane.clockOffsetMs += ms;
  await clock.advance(ms);
}
