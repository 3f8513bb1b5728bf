import { setTimeout } from 'node:timers/promises';

/** Short for a person, long for a backend on the same machine. */
const POLL_INTERVAL_MS = 250;

/**
 * Waits for `work`.
 *
 * @throws with what it waited for, and the reason as cause, once `signal` aborts.
 */
export async function waitFor<T>(
  what: () => string,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const gaveUp = () => {
    const cause = signal.reason as Error;
    return new Error(`${cause.message} Was waiting for ${what()}`, { cause });
  };
  if (signal.aborted) throw gaveUp();

  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(gaveUp());
  });
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Looks again and again until nothing is missing. */
export async function poll(
  what: string,
  look: () => Promise<string | undefined>,
  signal: AbortSignal,
): Promise<void> {
  let missing: string | undefined = 'no answer yet';
  const search = async () => {
    while (!signal.aborted && (missing = await look())) {
      await setTimeout(POLL_INTERVAL_MS);
    }
  };
  await waitFor(() => `${what} (${missing})`, search, signal);
}

/** Runs one after the other, whatever becomes of the first. */
export async function thenStop<T>(
  run: () => Promise<T>,
  stop: () => Promise<void>,
): Promise<T> {
  let result: T;
  try {
    result = await run();
  } catch (error) {
    // The first error is the one to tell: the second may come of it.
    await stop().catch(() => {});
    throw error;
  }
  await stop();
  return result;
}
