import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { onDeadline, onInterruption } from '../../testbed/signals';
import { thenStop } from '../../testbed/waiting';
import { startPostgresProcess } from '../../emulator';
import { startLendingServer } from './lendingServer';
import { page, thisTime, type Results } from './page';
import type { Bench } from './situation';
import { runMode } from './situations';

const PAGE = join(__dirname, '..', '..', 'docs', 'plugins.md');

/** Several times what a slow machine takes. */
const DEADLINE_MS = 25 * 60_000;

async function runAll(): Promise<Results> {
  const signal = AbortSignal.any([onInterruption(), onDeadline(DEADLINE_MS)]);
  const postgres = await startPostgresProcess();
  const withPostgres = async () => {
    const lending = await startLendingServer();
    const bench: Bench = { postgres, lendingUrl: lending.url, signal };
    const run = async () => ({
      database: await runMode('database', bench),
      schema: await runMode('schema', bench),
    });
    return thenStop(run, lending.stop);
  };
  return thenStop(withPostgres, () => postgres.stop());
}

/** What does not work, on the error output. */
function complain(results: Results): boolean {
  let complained = false;
  for (const [mode, of] of Object.entries(results)) {
    const { start, restart, copy, replicas } = of;
    for (const [name, findings] of Object.entries({
      start,
      restart,
      copy,
      'two replicas': replicas,
    })) {
      for (const text of findings.output) console.error(text);
      for (const { row, problem } of findings.problems) {
        complained = true;
        console.error(`FAILED: one ${mode} each, ${name}, ${row}: ${problem}`);
      }
    }
  }
  return complained;
}

async function main(): Promise<void> {
  const results = await runAll();
  const prettier = await resolveConfig(PAGE);
  const text = await format(page(results), { ...prettier, filepath: PAGE });
  await mkdir(join(PAGE, '..'), { recursive: true });
  await writeFile(PAGE, text);
  console.log(`${text}\nThis time:\n${thisTime(results)}`);
  if (complain(results)) process.exitCode = 1;
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
