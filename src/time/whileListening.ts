import type { Clock } from './clock';

const SLICES = 4;

/**
 * Calls back after `ms` in which an answer could have been heard. After the
 * process was busy for that long, its timers are due before it has read a word;
 * of several in a row, only the first one is.
 *
 * @returns what cancels it.
 */
export function whileListening(
  clock: Clock,
  ms: number,
  callback: () => void,
): () => void {
  let left = SLICES;
  let cancel = () => {};
  const wait = () => {
    const over = () => (--left > 0 ? wait() : callback());
    cancel = clock.schedule(over, ms / SLICES);
  };
  wait();
  return () => cancel();
}
