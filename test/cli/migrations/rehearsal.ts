import type { SetReport } from '../../../src/migrations/rehearsal';
import type { Verdict } from '../../../src/migrations/verdict';
import type { Upgrade } from './upgrade';

export interface RehearsalReport {
  verdict: Verdict;
  sets: (SetReport & { plugin: string; package: string; schema: string })[];
  notCovered: string[];
}

/** What a rehearsal tells scripts. */
export async function rehearse(upgrade: Upgrade, ...args: string[]) {
  const outcome = await upgrade.run('rehearse', '--json', ...args);
  if (!outcome.stdout) throw new Error(outcome.stderr);
  const report = JSON.parse(outcome.stdout) as RehearsalReport;
  return { ...outcome, report };
}
