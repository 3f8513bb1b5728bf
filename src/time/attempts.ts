import { LakebaseError } from '../errors';
import { attempt, type Cut } from './attempt';
import type { Clock } from './clock';

/**
 * What there is none of when an operation fails, as it reads after "No"; a
 * function where that may change while the operation runs.
 */
export type Purpose = string | (() => string);

/** Bounds operations in time, and ends all that are under way at shutdown. */
export class Attempts {
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Runs an operation that ends when its signal aborts.
   *
   * @throws LakebaseError `connect-timeout` with the operation's own error as
   * cause when `timeoutMs` was too short, `stopped` at shutdown, else whatever
   * the operation threw.
   */
  async run<T>(
    purpose: Purpose,
    timeoutMs: number,
    operation: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.stopped) throw shuttingDown(purpose);
    const outcome = attempt(
      operation,
      { clock: this.#clock, timeoutMs, signal: this.#stopping.signal },
      (error, cut) => this.#explain(purpose, timeoutMs, error, cut),
    );
    this.#running.add(outcome);
    try {
      return await outcome;
    } finally {
      this.#running.delete(outcome);
    }
  }

  get stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Aborts what is under way, waits for its end, and refuses what comes later. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#running);
  }

  #explain(
    purpose: Purpose,
    timeoutMs: number,
    error: unknown,
    cut: Cut | undefined,
  ): unknown {
    if (this.stopped) return shuttingDown(purpose);
    const final = error instanceof LakebaseError && error.permanent;
    return cut && !final ? tooSlow(purpose, timeoutMs, error) : error;
  }
}

export const shuttingDown = (purpose: Purpose) =>
  new LakebaseError('stopped', {
    problem: `No ${read(purpose)}: Backstage is shutting down`,
  });

const read = (purpose: Purpose) =>
  typeof purpose === 'string' ? purpose : purpose();

const tooSlow = (purpose: Purpose, timeoutMs: number, cause: unknown) =>
  new LakebaseError(
    'connect-timeout',
    {
      problem:
        `No ${read(purpose)} within ${timeoutMs / 1000} s ` +
        '(backend.database.lakebase.connectTimeout, or a shorter timeout in ' +
        'backend.database.knexConfig)',
    },
    { cause },
  );
