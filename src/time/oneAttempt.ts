/** One attempt in all, from the name look-up to the last byte of the reply. */
const ATTEMPT_TIMEOUT_MS = 10_000;

/** Why an attempt was cut short, in words; undefined when it was not. */
export type CutShort = string | undefined;

/**
 * Runs one attempt, whose signal aborts when it has taken too long or when the
 * caller gives up.
 *
 * @throws what `failureOf` makes of the operation's error.
 */
export async function oneAttempt<T>(
  operation: (signal: AbortSignal) => Promise<T>,
  failureOf: (error: unknown, cutShort: CutShort) => Error,
  caller?: AbortSignal,
): Promise<T> {
  // Cleared at the end: a timer of AbortSignal.timeout would live on.
  const controller = new AbortController();
  const abort = () => controller.abort();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    abort();
  }, ATTEMPT_TIMEOUT_MS);
  timer.unref();
  caller?.addEventListener('abort', abort);
  if (caller?.aborted) abort();
  try {
    return await operation(controller.signal);
  } catch (error) {
    const cutShort = timedOut
      ? `no reply within ${ATTEMPT_TIMEOUT_MS / 1000} s`
      : caller?.aborted
        ? 'the call was given up'
        : undefined;
    throw failureOf(error, cutShort);
  } finally {
    clearTimeout(timer);
    caller?.removeEventListener('abort', abort);
  }
}
