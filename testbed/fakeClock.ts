import { EventEmitter, once } from 'node:events';
import type { Emulator } from '../emulator';
import type { Clock } from '../src/time/clock';

interface Timer {
  callback: () => void;
  /** On the monotonic clock, as in Node. */
  dueAt: number;
  /** Counts up with each timer. */
  number: number;
}

/** Time and chance that stand still until a test moves them. */
export class FakeClock implements Clock {
  random: () => number = () => 0.5;
  /** Timers longer than this fire early, as Node's do after 24.8 days. */
  longestTimerMs = Infinity;
  /**
   * Whether a pause takes no time here: the clock goes on to its end at once,
   * and so meets, on the way, what else was to happen until then. What takes
   * real time, such as a login, takes none on this clock.
   */
  skipsPauses = false;
  #wall = Date.parse('2026-01-01T00:00:00Z');
  #monotonic = 0;
  #timersSet = 0;
  readonly #plans = new Set<Timer>();
  readonly #bounds = new Set<Timer>();
  readonly #pauses = new Set<Timer>();
  readonly #events = new EventEmitter();

  wall(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  schedule(callback: () => void, delayMs: number): () => void {
    return this.#set(this.#plans, callback, delayMs);
  }

  bound(callback: () => void, delayMs: number): () => void {
    return this.#set(this.#bounds, callback, delayMs);
  }

  async pause(delayMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#set(this.#pauses, resolve, delayMs);
      signal?.addEventListener('abort', () => {
        cancel();
        reject(signal.reason as Error);
      });
      this.#events.emit('pause');
      // A timer takes a millisecond at least.
      if (this.skipsPauses) void this.advance(Math.max(1, delayMs));
    });
  }

  #set(timers: Set<Timer>, callback: () => void, delayMs: number): () => void {
    // As in Node: whole milliseconds, and so perhaps a little early.
    const wholeMs = Math.trunc(delayMs) || 1;
    const dueAt = this.#monotonic + Math.min(wholeMs, this.longestTimerMs);
    const timer = { callback, dueAt, number: ++this.#timersSet };
    timers.add(timer);
    return () => timers.delete(timer);
  }

  /** How many plans are made, not counting bounds and pauses. */
  get timers(): number {
    return this.#plans.size;
  }

  /** Resolves when somebody pauses, or at once when somebody does already. */
  async paused(): Promise<void> {
    if (this.#pauses.size === 0) await once(this.#events, 'pause');
  }

  /**
   * Lets time pass, and everything happen that happens meanwhile. What begins
   * meanwhile and takes real time, such as a mint, has none to take here: its
   * bounds count from the end on.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    const before = this.#timersSet;
    for (;;) {
      await settle();
      const timer = this.#earliest(before);
      if (!timer || timer.dueAt > end) break;

      this.#passTo(timer.dueAt, before);
      for (const timers of this.#all) timers.delete(timer);
      timer.callback();
    }
    this.#passTo(end, before);
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

  /** Of all timers but the bounds that were set later than this one. */
  #earliest(last: number): Timer | undefined {
    return this.#all
      .flatMap(timers => [...timers])
      .filter(timer => timer.number <= last || !this.#bounds.has(timer))
      .sort((a, b) => a.dueAt - b.dueAt)[0];
  }

  get #all(): Set<Timer>[] {
    return [this.#plans, this.#bounds, this.#pauses];
  }

  #passTo(time: number, last: number): void {
    const ms = Math.max(0, time - this.#monotonic);
    for (const bound of this.#bounds) {
      if (bound.number > last) bound.dueAt += ms;
    }
    this.#pass(ms);
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
