import { commandLine } from '../../testbed/commandLine';

/** What a process that runs nothing but the command tells of itself. */
export interface CommandReport {
  exitCode: number;
  stderr: string;
  /** At its most. */
  memoryMb: number;
}

async function main(): Promise<void> {
  const { exitCode, stderr } = await commandLine(process.argv.slice(2));
  const memoryMb = process.resourceUsage().maxRSS / 1e3;
  const report: CommandReport = { exitCode, stderr, memoryMb };
  console.log(JSON.stringify(report));
}

void main();
