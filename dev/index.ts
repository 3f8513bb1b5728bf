import { join } from 'node:path';
import { readOptions } from '../testbed/arguments';
import { runOnce, runUntilInterrupted } from './demo';
import { runTour } from './tour';

const USAGE = `Usage: npm start [-- --once | --tour]

Runs Backstage on Lakebase: on a real one when both DATABRICKS_HOST and
LAKEBASE_ENDPOINT are set, otherwise on an emulator with a Postgres of its own.

  --once  check that all of it works, print a summary, and stop
  --tour  lose a catalog and bring it back, on an emulator, and stop
  --help  print this
`;

const { once, tour } = readOptions(USAGE, {
  once: { type: 'boolean' },
  tour: { type: 'boolean' },
});
// Backstage and its configuration go by the folder that npm start runs in.
process.chdir(join(__dirname, '..'));
(tour ? runTour() : once ? runOnce() : runUntilInterrupted()).then(
  // As Backstage does when it has stopped: plugins leave timers behind.
  () => process.exit(0),
  error => {
    console.error('[demo] Failed:', error);
    process.exit(1);
  },
);
