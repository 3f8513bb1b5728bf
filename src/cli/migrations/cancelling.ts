import type { Knex } from 'knex';
import { processesInUse } from '../../connections/knexInternals';
import type { Queries } from '../../migrations/queries';
import type { Clock } from '../../time/clock';

const AGAIN_AFTER_MS = 500;

/**
 * Runs `work`, and cancels its statements when it is interrupted, so that it
 * fails as by itself: its transaction is rolled back, and Knex frees its lock.
 */
export async function cancelling<T>(
  knex: Knex,
  { rows }: Queries,
  { signal, clock }: { signal: AbortSignal; clock: Clock },
  work: () => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const cancel = async () => {
    while (!done.signal.aborted) {
      await rows(
        'SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.unnest($1::int[]) pid',
        [processesInUse(knex)],
      );
      await clock.pause(AGAIN_AFTER_MS, done.signal);
    }
  };
  // Its own end has nobody to tell.
  const interrupt = () => void cancel().catch(() => {});
  signal.addEventListener('abort', interrupt);
  try {
    return await work();
  } finally {
    done.abort();
    signal.removeEventListener('abort', interrupt);
  }
}
