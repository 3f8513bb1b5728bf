import { readFileSync } from 'node:fs';

// Loaded first, it puts this process on a machine whose clock is wrong by what
// a file says. The file may change at any time, even while the process is
// stopped: then the clock goes on and timers do not, as after a sleep.
const RealDate = Date;
const now = () =>
  RealDate.now() + Number(readFileSync(process.env.CLOCK_OFFSET_FILE!, 'utf8'));

class ShiftedDate extends RealDate {
  constructor(...args: [number]) {
    super(...(args.length > 0 ? args : ([now()] as [number])));
  }

  static override now = now;
}

globalThis.Date = ShiftedDate as DateConstructor;
