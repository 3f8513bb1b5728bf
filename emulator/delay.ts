import { setTimeout } from 'node:timers/promises';

/** A delay that keeps no process alive: the emulator may be stopped meanwhile. */
export const delay = (ms: number) => setTimeout(ms, undefined, { ref: false });
