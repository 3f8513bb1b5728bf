import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { mapValues, some, uniq } from 'lodash';
import { readOptions } from '../../testbed/arguments';
import { page, type Row } from './page';
import type { Shown } from './peers';
import { replicaTable } from './replicas';
import { FAULTS, type Fault } from './table';
import { readReport, runTests, type TestResults } from './tests';
import { runWithNode22 } from '../../testbed/node22';

const PAGE = join(__dirname, '..', '..', 'docs', 'faults.md');

const USAGE = `Usage: npm run faults [-- --report <file>]

Tests each fault, puts the peers through those that they can be put through,
and writes docs/faults.md.

  --report  what \`npm test -- --json --outputFile=<file>\` has written, so that
            no test runs again
  --help    print this
`;

/** What the tests of a fault came to. */
function resultOf(
  { file, tests = [''] }: Fault,
  results: TestResults,
): Row['result'] {
  const ofFile = results.get(file) ?? [];
  const found = tests.map(test =>
    ofFile.filter(({ fullName }) => fullName.startsWith(test)),
  );
  if (found.some(each => each.length === 0)) return 'not tested';
  const passed = found.flat().every(({ status }) => status === 'passed');
  return passed ? 'survived' : 'FAILED';
}

async function runAll(
  folder: string,
  given: string | undefined,
): Promise<Record<string, Row[]>> {
  const peers = join(folder, 'peers.json');
  const code = await runWithNode22(join(__dirname, 'peers.ts'), [peers]);
  if (code !== 0) throw new Error(`The peers ended with exit code ${code}`);
  const shown = JSON.parse(await readFile(peers, 'utf8')) as Shown[];
  const homeless = shown.filter(
    ({ fault }) => !some(Object.values(FAULTS).flat(), { fault }),
  );
  if (homeless.length) throw new Error(`No row for ${homeless[0].fault}`);
  const files = uniq(
    Object.values(FAULTS)
      .flat()
      .map(({ file }) => file),
  );
  const report = given ?? join(folder, 'tests.json');
  if (!given) await runTests(files, report);
  const results = await readReport(report);
  return mapValues(FAULTS, faults =>
    faults.map(fault => ({
      ...fault,
      result: resultOf(fault, results),
      shown: shown.find(each => each.fault === fault.fault),
    })),
  );
}

/** What is not as this module promises. */
function complaints(rows: Row[]): string[] {
  return rows.flatMap(({ fault, result, shown }) => [
    ...(result === 'survived' ? [] : [`${fault}: ${result}`]),
    ...(shown && shown.ours !== shown.expected
      ? [`${fault}: ${shown.ours}, not ${shown.expected}`]
      : []),
  ]);
}

async function main(report: string | undefined): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'lakebase-faults-'));
  try {
    const groups = await runAll(folder, report);
    const prettier = await resolveConfig(PAGE);
    const text = await format(page(groups, await replicaTable()), {
      ...prettier,
      filepath: PAGE,
    });
    await writeFile(PAGE, text);
    console.log(text);
    for (const complaint of complaints(Object.values(groups).flat())) {
      console.error(complaint);
      process.exitCode = 1;
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

const { report } = readOptions(USAGE, { report: { type: 'string' } });
// Not awaited: a failure ends the process with its stack.
void main(report);
