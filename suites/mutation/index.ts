import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { countBy } from 'lodash';
import { startPostgresProcess } from '../../emulator';
import { failUsage } from '../../testbed/arguments';
import { handToWorkers } from '../../testbed/postgresOfWorker';
import { thenStop } from '../../testbed/waiting';
import { GROUPS } from './groups';

const ROOT = join(__dirname, '..', '..');

const USAGE = `Usage: npm run mutation [-- <group> ...]

Changes the sources of a group, one thing at a time, and shows which changes no
test notices. Groups: ${Object.keys(GROUPS).join(', ')} (default: all).
`;

interface Report {
  files: Record<string, { mutants: { status: string }[] }>;
}

const DETECTED = ['Killed', 'Timeout'];
/** What does not compile, or was left out. */
const UNCOUNTED = ['CompileError', 'RuntimeError', 'Ignored'];

/** A line for each file: how many changes were noticed. */
function linesOf(group: string): string[] {
  const file = join(ROOT, 'reports', 'mutation', `${group}.json`);
  const { files } = JSON.parse(readFileSync(file, 'utf8')) as Report;
  return Object.entries(files).map(([name, { mutants }]) => {
    const counts = countBy(mutants, ({ status }) =>
      DETECTED.includes(status)
        ? 'detected'
        : UNCOUNTED.includes(status)
          ? 'uncounted'
          : 'missed',
    );
    const { detected = 0, missed = 0 } = counts;
    const score = ((100 * detected) / (detected + missed)).toFixed(1);
    return `${score.padStart(5)} %  ${detected} of ${detected + missed}  ${name}`;
  });
}

async function mutate(name: string): Promise<void> {
  const stryker = spawn(
    process.execPath,
    [
      join(
        ROOT,
        'node_modules',
        '@stryker-mutator',
        'core',
        'bin',
        'stryker.js',
      ),
      'run',
      join('suites', 'mutation', 'stryker.config.mjs'),
    ],
    {
      cwd: ROOT,
      stdio: 'inherit',
      env: {
        ...process.env,
        MUTATION_GROUP: JSON.stringify({ name, ...GROUPS[name] }),
      },
    },
  );
  const [code] = (await once(stryker, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`Stryker ended with exit code ${code}`);
}

async function main(names: string[]): Promise<void> {
  const unknown = names.find(name => !(name in GROUPS));
  if (unknown) failUsage(USAGE, `There is no group '${unknown}'`);
  const chosen = names.length > 0 ? names : Object.keys(GROUPS);
  const server = await startPostgresProcess({ inMemory: true });
  handToWorkers([server]);
  const run = async () => {
    for (const name of chosen) await mutate(name);
  };
  await thenStop(run, () => server.stop());
  for (const name of chosen) console.log(linesOf(name).join('\n'));
}

// Not awaited: a failure ends the process with its stack.
void main(process.argv.slice(2));
