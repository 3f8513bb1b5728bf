import { LakebaseError } from './errors';

/** Bounds operations in time, and ends all that are under way at shutdown. */
export class Attempts {
  readonly #running = new Set<AbortController>();
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
    if (this.#stopped) throw stopped(purpose);
    const attempt = new AbortController();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      attempt.abort();
    }, timeoutMs);
    this.#running.add(attempt);
    try {
      return await operation(attempt.signal);
    } catch (error) {
      if (this.#stopped) throw stopped(purpose);
      const final = error instanceof LakebaseError && error.permanent;
      throw timedOut && !final ? tooSlow(purpose, timeoutMs, error) : error;
    } finally {
      clearTimeout(timer);
      this.#running.delete(attempt);
    }
  }

  /** Aborts what is under way and refuses what comes later. */
  stop(): void {
    this.#stopped = true;
    this.#running.forEach(attempt => attempt.abort());
  }
}

const stopped = (purpose: string) =>
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
