import { isPermanent, LakebaseError } from '../errors';
import type { Clock } from './clock';

/** Full jitter over 0.25, 0.5, 1, 2, 4, 4, ... s: a wake-up takes 0.3 to 5 s. */
const BACKOFF_BASE_MS = 250;
const BACKOFF_CAP_MS = 4_000;

export interface RetryOptions {
  clock: Clock;
  /** Ends it. */
  signal: AbortSignal;
  /** Hears each failure after which it tries again. */
  onRetry?: (error: LakebaseError) => void;
}

/**
 * Tries until the operation succeeds, fails for good, or `signal` aborts.
 *
 * @throws the operation's last error; when `signal` cut an attempt short, the
 * error of the one before, which says more.
 */
export async function retry<T>(
  operation: () => Promise<T>,
  { clock, signal, onRetry }: RetryOptions,
): Promise<T> {
  let last: LakebaseError | undefined;
  for (let attempt = 0; ; attempt++) {
    try {
      return await operation();
    } catch (error) {
      if (isPermanent(error)) throw error;
      if (signal.aborted) throw last ?? error;
      // Whatever may pass by itself is one.
      last = error as LakebaseError;
      onRetry?.(last);
    }
    const backoffMs =
      clock.random() *
      Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 10));
    const failure = last;
    const askedMs = failure.retryAfterMs ?? 0;
    await clock.pause(backoffMs + askedMs, signal).catch(() => {
      throw failure;
    });
  }
}
