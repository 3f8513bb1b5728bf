import { join } from 'node:path';
import { inspect } from 'node:util';
import { failUsage, readOptions } from '../../testbed/arguments';
import { onInterruption } from '../../testbed/signals';
import { MAX_SEED } from './dice';
import { say } from './journal';
import { runSoak, type SoakOptions } from './run';
import { verdict } from './verdict';

const USAGE = `Usage: npm run soak [-- --minutes <number> --seed <number> --log <file>]

Runs Backstage with its plugins on an emulated Lakebase, under load, while
faults drawn at random strike the workspace, the endpoint and the process.

  --minutes  how long it takes after Backstage has started (default: 10)
  --seed     draws the same faults as the run that printed this number
  --log      keeps what Backstage says, at level debug, in this file
  --help     print this
`;

/** Warm-up and quiet take some, and one fault may take half of one. */
const MIN_MINUTES = 2;

const OUTPUT_TO_SHOW = 10_000;

function readSoakOptions(): SoakOptions {
  const values = readOptions(USAGE, {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    log: { type: 'string' },
  });
  const minutes = Number(values.minutes);
  if (!(minutes >= MIN_MINUTES)) {
    failUsage(USAGE, `--minutes takes a number from ${MIN_MINUTES} on`);
  }
  const seed = Number(values.seed ?? Math.ceil(Math.random() * MAX_SEED));
  if (!Number.isInteger(seed) || seed < 1 || seed > MAX_SEED) {
    failUsage(USAGE, `--seed takes a whole number from 1 to ${MAX_SEED}`);
  }
  return { minutes, seed, log: values.log };
}

/** Backstage's whole log, when it is what has ended. */
const endOf = (text: string) => text.slice(-OUTPUT_TO_SHOW);

async function main(options: SoakOptions) {
  // Backstage and its configuration go by the folder that npm run runs in.
  process.chdir(join(__dirname, '..', '..'));
  // Faults are to be had on the emulator only.
  delete process.env.LAKEBASE_ENDPOINT;
  say(`${options.minutes} min with --seed ${options.seed}`);
  const signal = onInterruption();
  try {
    const { text, ok } = verdict(await runSoak(options, signal));
    console.log(text);
    process.exit(ok ? 0 : 1);
  } catch (error) {
    if (signal.aborted) say('Interrupted, and all has stopped');
    else say(`FAILED: ${endOf(inspect(error))}`);
    process.exit(1);
  }
}

void main(readSoakOptions());
