import type { Clock } from './clock';

/** Longer than most queries, shorter than an orchestrator's grace period. */
const SHUTDOWN_TIMEOUT_MS = 10_000;

/** Gives connections in use a while to finish. */
export async function withPatience(
  closing: Promise<unknown>,
  clock: Clock,
): Promise<void> {
  let cancel = () => {};
  const patience = new Promise<void>(resolve => {
    cancel = clock.bound(resolve, SHUTDOWN_TIMEOUT_MS);
  });
  await Promise.race([closing, patience]).finally(cancel);
}
