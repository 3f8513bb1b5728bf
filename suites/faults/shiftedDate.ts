const SystemDate = Date;
let shiftMs = 0;

class ShiftedDate extends SystemDate {
  static override now(): number {
    return SystemDate.now() + shiftMs;
  }

  constructor(...args: [] | [number | string]) {
    super(...((args.length ? args : [ShiftedDate.now()]) as [number]));
  }
}

/**
 * Moves the clock of this process forward, as after a sleep: for whoever looks
 * at it, credentials age, and no timer fires.
 */
export function letTimePass(ms: number): void {
  globalThis.Date = ShiftedDate as DateConstructor;
  shiftMs += ms;
}

export function setDateRight(): void {
  globalThis.Date = SystemDate;
  shiftMs = 0;
}
