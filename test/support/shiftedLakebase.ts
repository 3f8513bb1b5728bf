import { renameSync, writeFileSync } from 'node:fs';
import type { Emulator } from '../../emulator';
import { temporaryFiles } from './appConfig';
import type { Child } from '../../testbed/childProcess';
import { children } from './children';
import { lakebaseConfig } from './lakebase';

/** Lakebases on machines whose clocks a test sets, gone after each test. */
export function shiftedLakebases() {
  const files = temporaryFiles();
  const startChild = children();

  return (emulator: Emulator, offsetMs = 0) => {
    const file = files.file('clock-offset', String(offsetMs));
    const config = lakebaseConfig(emulator, { pluginDivisionMode: 'schema' });
    const child = startChild('shiftedProcess.ts', {
      args: [JSON.stringify(config)],
      env: { CLOCK_OFFSET_FILE: file },
    });
    return new ShiftedLakebase(child, file);
  };
}

class ShiftedLakebase {
  constructor(
    readonly child: Child,
    readonly offsetFile: string,
  ) {}

  query(sql = 'select 1'): Promise<{ pid: number }[]> {
    return this.child.ask('query', 'catalog', sql);
  }

  /** Its server has closed the idle connections, and it knows. */
  noticeLoss(): Promise<void> {
    return this.child.ask('noticeLoss', 'catalog');
  }

  /** From now on, also for a process that is stopped. */
  shiftClock(offsetMs: number): void {
    // Never seen half written.
    writeFileSync(`${this.offsetFile}.new`, String(offsetMs));
    renameSync(`${this.offsetFile}.new`, this.offsetFile);
  }

  stop(): void {
    this.child.process.kill('SIGSTOP');
  }

  wakeUp(): void {
    this.child.process.kill('SIGCONT');
  }
}
