import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readOptions } from '../../testbed/arguments';
import { checkNewest, COMBINATIONS, type Versions } from './combinations';
import { ROOT } from './locked';
import { type Outcome, REPORTED, tryOut } from './trial';

/** Most of an installation and of the tests is waiting. */
const AT_ONCE = 2;

const USAGE = `Usage: npm run versions [-- --ends]

Runs the connector's tests with each supported combination of versions, each in
an installation of its own.

  --ends  the newest and the lowest combination only
  --help  print this
`;

async function main(combinations: Versions[]): Promise<void> {
  checkNewest();
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stopped.abort());
  }
  const outcomes = await tryOutAll(combinations, stopped.signal);
  if (stopped.signal.aborted) return fail();

  for (const { passed, output } of outcomes) if (!passed) console.log(output);
  console.log(table(outcomes));
  if (!outcomes.every(({ passed }) => passed)) fail();
}

async function tryOutAll(
  combinations: Versions[],
  signal: AbortSignal,
): Promise<Outcome[]> {
  const files = workingTree();
  const outcomes: Outcome[] = [];
  const waiting = [...combinations.entries()];
  async function tryOutNext(): Promise<void> {
    const next = waiting.shift();
    if (!next || signal.aborted) return;
    const [index, versions] = next;
    const begin = performance.now();
    const outcome = await tryOut(files, versions, signal);
    const seconds = Math.round((performance.now() - begin) / 1000);
    console.log(`${row(outcome)} ${seconds} s`);
    outcomes[index] = outcome;
    await tryOutNext();
  }
  await Promise.all(Array.from({ length: AT_ONCE }, tryOutNext));
  return outcomes;
}

const workingTree = () =>
  execFileSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard'],
    { cwd: ROOT, encoding: 'utf8' },
  )
    .split('\n')
    .filter(file => file && existsSync(join(ROOT, file)));

const row = ({ loaded, result }: Outcome) =>
  `| ${[...loaded, process.version, result].join(' | ')} |`;

function table(outcomes: Outcome[]): string {
  const columns = [...REPORTED, 'Node', 'Result'];
  return [
    `\n| ${columns.join(' | ')} |`,
    `|${columns.map(() => '---').join('|')}|`,
    ...outcomes.map(row),
  ].join('\n');
}

function fail(): void {
  process.exitCode = 1;
}

const { ends } = readOptions(USAGE, { ends: { type: 'boolean' } });
void main(ends ? [COMBINATIONS[0], COMBINATIONS.at(-1)!] : COMBINATIONS);
