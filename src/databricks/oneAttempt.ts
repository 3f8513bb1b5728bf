import { attempt } from '../time/attempt';
import type { Clock } from '../time/clock';

/** One attempt in all, from the name look-up to the last byte of the reply. */
const ATTEMPT_TIMEOUT_MS = 10_000;

/** Why an attempt was cut short, in words; undefined when it was not. */
export type CutShort = string | undefined;

const IN_WORDS = {
  'too slow': `no reply within ${ATTEMPT_TIMEOUT_MS / 1000} s`,
  'given up': 'the call was given up',
};

/**
 * Runs one attempt, which ends when it has taken too long or when the caller
 * gives up, whether the operation heeds its signal or not: the body of a reply
 * may not, nor a file on a mount that hangs, nor code of others.
 *
 * @throws what `failureOf` makes of the operation's error.
 */
export const oneAttempt = <T>(
  operation: (signal: AbortSignal) => Promise<T>,
  failureOf: (error: unknown, cutShort: CutShort) => Error,
  { clock, signal }: { clock: Clock; signal?: AbortSignal },
): Promise<T> =>
  attempt(
    until => orAborted(operation(until), until),
    { clock, timeoutMs: ATTEMPT_TIMEOUT_MS, signal },
    (error, cut) => failureOf(error, cut && IN_WORDS[cut]),
  );

async function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(new Error('Aborted'));
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
