import { LakebaseError } from '../errors';

/** Bounds operations in time, and ends all that are under way at shutdown. */
export class Attempts {
  readonly #running = new Map<AbortController, Promise<unknown>>();
  #stopped = false;

  /**
   * Runs an operation that ends when its signal aborts.
   *
   * @throws LakebaseError `connect-timeout` with the operation's own error as
   * cause when `timeoutMs` was too short, `stopped` at shutdown, else whatever
   * the operation threw.
   */
  async run<T>(
    purpose: string,
    timeoutMs: number,
    operation: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#stopped) throw shuttingDown(purpose);
    const attempt = new AbortController();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      attempt.abort();
    }, timeoutMs);
    const outcome = operation(attempt.signal);
    this.#running.set(attempt, outcome);
    try {
      return await outcome;
    } catch (error) {
      if (this.#stopped) throw shuttingDown(purpose);
      const final = error instanceof LakebaseError && error.permanent;
      throw timedOut && !final ? tooSlow(purpose, timeoutMs, error) : error;
    } finally {
      clearTimeout(timer);
      this.#running.delete(attempt);
    }
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Aborts what is under way, waits for its end, and refuses what comes later. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const outcomes = [...this.#running.values()];
    for (const attempt of this.#running.keys()) attempt.abort();
    await Promise.allSettled(outcomes);
  }
}

export const shuttingDown = (purpose: string) =>
  new LakebaseError('stopped', {
    message: `No ${purpose}: Backstage is shutting down`,
  });

const tooSlow = (purpose: string, timeoutMs: number, cause: unknown) =>
  new LakebaseError('connect-timeout', {
    message:
      `No ${purpose} within ${timeoutMs / 1000} s ` +
      '(backend.database.lakebase.connectTimeout, or a shorter timeout in ' +
      'backend.database.knexConfig)',
    cause,
  });
