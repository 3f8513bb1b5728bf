import type { Clock } from './clock';

/** Why an attempt was cut short: it took too long, or its caller gave up. */
export type Cut = 'too slow' | 'given up';

export interface AttemptOptions {
  clock: Clock;
  timeoutMs: number;
  /** The caller's, who may give up before that. */
  signal?: AbortSignal;
}

/**
 * Runs an operation that ends when its signal aborts, which it does after
 * `timeoutMs` or when the caller's does.
 *
 * @throws what `explain` makes of the operation's error.
 */
export async function attempt<T>(
  operation: (signal: AbortSignal) => Promise<T>,
  { clock, timeoutMs, signal: caller }: AttemptOptions,
  explain: (error: unknown, cut: Cut | undefined) => unknown = error => error,
): Promise<T> {
  const controller = new AbortController();
  let cut: Cut | undefined;
  const end = (reason: Cut) => {
    cut ??= reason;
    controller.abort();
  };
  const giveUp = () => end('given up');
  const cancel = clock.bound(() => end('too slow'), timeoutMs);
  caller?.addEventListener('abort', giveUp);
  if (caller?.aborted) giveUp();
  try {
    return await operation(controller.signal);
  } catch (error) {
    throw explain(error, cut);
  } finally {
    cancel();
    caller?.removeEventListener('abort', giveUp);
  }
}
