import type { Emulator } from '../../../emulator';
import { systemClock } from '../../../src/time/clock';
import { lakebaseTests } from '../../support/lakebase';
import { commandLine, configFiles } from '../commandLine';

export interface Billed {
  emulator: Emulator;
  warehouse: string;
  /** By the platform's clock. */
  now(): number;
  pass(ms: number): void;
  run(...args: string[]): ReturnType<typeof commandLine>;
}

/** Portals of one test file whose time, here and on the platform, is a test's. */
export function billedPortals() {
  const start = lakebaseTests();
  const files = configFiles();
  return async (overrides = {}): Promise<Billed> => {
    const emulator = await start.emulator();
    const config = await files.leadingTo(emulator, overrides);
    const { controlPlane } = emulator;
    const now = () => Date.now() + controlPlane.clockOffsetMs;
    return {
      emulator,
      warehouse: controlPlane.warehouse.id,
      now,
      pass: ms => (controlPlane.clockOffsetMs += ms),
      run: (...args) =>
        commandLine([...args, '--config', config], {
          clock: { ...systemClock, wall: now },
          interrupted: new AbortController().signal,
        }),
    };
  };
}
