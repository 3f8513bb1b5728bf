/** Longer than most queries, shorter than an orchestrator's grace period. */
const SHUTDOWN_TIMEOUT_MS = 10_000;

/** Gives connections in use a while to finish. */
export async function withPatience(closing: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise(resolve => {
    timer = setTimeout(resolve, SHUTDOWN_TIMEOUT_MS);
  });
  await Promise.race([closing, patience]);
  clearTimeout(timer);
}
