/**
 * Puts this module and its peers through the faults, in a process whose clock
 * they share, and writes what came of it to the file that it is given.
 */
import { writeFile } from 'node:fs/promises';
import { startPostgresProcess, type PostgresServer } from '../../emulator';
import { thenStop } from '../../testbed/waiting';
import {
  type Contender,
  databricksPool,
  expirationChecker,
  lakebaseModule,
} from '../../testbed/contenders';
import { type Experiment, EXPERIMENTS } from './experiments';
import { Situation } from './situation';

/** What one fault did to each. */
export interface Shown {
  fault: string;
  expected: string;
  ours: string;
  stockPattern?: string;
  databricks?: string;
}

async function runAll(postgres: PostgresServer): Promise<Shown[]> {
  const shown: Shown[] = [];
  for (const experiment of EXPERIMENTS) {
    const { fault, expected, needsKnex, needsOwnMint } = experiment;
    const show = (contender: Contender) =>
      showOf(postgres, contender, experiment);
    shown.push({
      fault,
      expected,
      ours: await show(lakebaseModule),
      stockPattern: needsOwnMint ? undefined : await show(expirationChecker),
      databricks: needsKnex ? undefined : await show(databricksPool),
    });
    console.log(fault);
  }
  return shown;
}

async function showOf(
  postgres: PostgresServer,
  contender: Contender,
  experiment: Experiment,
): Promise<string> {
  try {
    return await Situation.run(
      postgres,
      contender,
      experiment.settings ?? {},
      situation => experiment.run(situation),
    );
  } catch (error) {
    return `fails: ${(error as Error).message}`;
  }
}

async function main([file]: string[]): Promise<void> {
  const postgres = await startPostgresProcess();
  const shown = await thenStop(
    () => runAll(postgres),
    () => postgres.stop(),
  );
  await writeFile(file, JSON.stringify(shown));
  // Peers leave timers and sockets behind.
  process.exit();
}

void main(process.argv.slice(2));
