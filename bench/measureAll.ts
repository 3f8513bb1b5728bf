/** Runs in Node 22 or later, as a child of index.ts. */
import { benchmarks, type Benchmark } from './benchmarks';
import { startLaboratory } from './measure/laboratory';
import { writeReport } from './report';
import {
  machine,
  readResults,
  versions,
  writeResults,
  type Result,
} from './report/results';

/** Enough to see that a benchmark works, and not for numbers. */
const quick = process.env.BENCH_QUICK !== undefined;

async function measure(benchmark: Benchmark): Promise<Result> {
  console.log(`=== ${benchmark.name}`);
  const begin = Date.now();
  // One each, so that none meets what another has left.
  const laboratory = await startLaboratory();
  const findings = await benchmark.run({ laboratory, quick });
  await laboratory.stop();
  return {
    title: benchmark.title,
    day: new Date().toISOString().slice(0, 10),
    tookS: Math.round((Date.now() - begin) / 1000),
    machine: machine(),
    versions: versions(),
    ...findings,
  };
}

function tell({ tables, targets, tookS }: Result): void {
  for (const { columns, rows } of tables) {
    console.table(
      rows.map(row =>
        Object.fromEntries(row.map((cell, i) => [columns[i] || `${i}`, cell])),
      ),
    );
  }
  for (const { promise, found, met } of targets) {
    console.log(`${met ? 'met   ' : 'MISSED'} ${promise}: ${found}`);
  }
  console.log(`${tookS} s\n`);
}

async function main(names: string[]): Promise<void> {
  const chosen = benchmarks.filter(({ name, onRequest }) =>
    names.length === 0 ? !onRequest : names.includes(name),
  );
  const results = await readResults();
  for (const benchmark of chosen) {
    const result = await measure(benchmark);
    tell(result);
    results[benchmark.name] = result;
    // After each, so that one that fails takes nothing from the others.
    await writeResults(results);
    await writeReport(results);
    if (result.targets.some(({ met }) => !met)) process.exitCode = 1;
  }
}

void main(process.argv.slice(2));
