import { EXIT } from './exitCodes';
import type { Terminal } from './terminal';

const SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

/**
 * Runs something that has to be tidied up when it is interrupted.
 *
 * @returns the exit code of `work`, or that of an interruption.
 */
export async function interruptible(
  { error, interrupted }: Terminal,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => {
    // A second one ends the process, as it would without us.
    stopListening();
    error('Interrupted: tidying up');
    controller.abort();
  };
  const stopListening = () => {
    SIGNALS.forEach(signal => process.off(signal, interrupt));
    interrupted?.removeEventListener('abort', interrupt);
  };
  SIGNALS.forEach(signal => process.on(signal, interrupt));
  interrupted?.addEventListener('abort', interrupt);
  try {
    return await work(controller.signal);
  } catch (failure) {
    if (controller.signal.aborted) return EXIT.interrupted;
    throw failure;
  } finally {
    stopListening();
  }
}

/** Runs `work`, and closes what it uses at its end or at an interruption. */
export async function closingAfter<T>(
  signal: AbortSignal,
  close: () => Promise<unknown>,
  work: () => Promise<T>,
): Promise<T> {
  signal.addEventListener('abort', () => void close());
  try {
    return await work();
  } finally {
    await close();
  }
}
