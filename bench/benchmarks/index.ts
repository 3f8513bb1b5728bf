import type { Benchmark } from './benchmark';
import { backstageBenchmark } from './backstage';
import { branchBenchmark } from './branch';
import { budgetBenchmark } from './budget';
import { coldStartBenchmark } from './coldStart';
import { connectBenchmark } from './connect';
import { firstClickBenchmark } from './firstClick';
import { idleBenchmark } from './idle';
import { linkBenchmark } from './link';
import { outageBenchmark } from './outage';
import { rotationBenchmark } from './rotation';
import { throughputBenchmark } from './throughput';
import { undoBenchmark } from './undo';
import { upgradeBenchmark } from './upgrade';
import { weightBenchmark } from './weight';

export type { Benchmark, Findings, Line, Plot, Table } from './benchmark';

/** In the order of the report. */
export const benchmarks: Benchmark[] = [
  coldStartBenchmark,
  rotationBenchmark,
  outageBenchmark,
  connectBenchmark,
  idleBenchmark,
  throughputBenchmark,
  weightBenchmark,
  budgetBenchmark,
  linkBenchmark,
  firstClickBenchmark,
  branchBenchmark,
  upgradeBenchmark,
  undoBenchmark,
  backstageBenchmark,
];
