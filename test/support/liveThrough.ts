import type { Emulator } from '../../emulator';
import { type FakeClock, passTime, settle } from '../../testbed/fakeClock';
import { SECOND } from '../../testbed/durations';

const STEP_MS = 5 * SECOND;

/**
 * Lets time pass on the platform and here, and every mint that falls due be
 * answered before it goes on.
 */
export async function liveThrough(
  emulator: Emulator,
  clock: FakeClock,
  ms: number,
): Promise<void> {
  await mintAnswered(clock);
  for (let left = ms; left > 0; left -= STEP_MS) {
    await passTime(emulator, clock, Math.min(STEP_MS, left));
    await mintAnswered(clock);
  }
}

/** By then a mint has been answered, or given up. */
const PATIENCE_MS = 15 * SECOND;

/** A refresher that has started waits for its timer, or for a mint. */
export async function mintAnswered(clock: FakeClock): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (clock.timers === 0) {
    if (performance.now() > end) throw new Error('Nothing is planned any more');
    await settle();
  }
}
