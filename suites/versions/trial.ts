import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chosenTests } from './chosenTests';
import type { Versions } from './combinations';
import { install, loadedVersion } from './installation';
import { run } from '../../testbed/run';

/** The columns of the report. */
export const REPORTED = [
  'knex',
  '@backstage/backend-defaults',
  '@backstage/backend-plugin-api',
  'pg',
];

export interface Outcome {
  passed: boolean;
  /** As in REPORTED. */
  loaded: string[];
  result: string;
  /** What to read after a failure. */
  output: string;
}

/** Runs the tests with one combination, in a folder of its own. */
export async function tryOut(
  files: string[],
  versions: Versions,
  signal: AbortSignal,
): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'versions-'));
  try {
    await install(folder, files, versions, signal);
    return await test(folder, chosenTests(folder, files), signal);
  } catch (error) {
    const loaded = REPORTED.map(name => versions[name] ?? '');
    const output = String(error);
    return { passed: false, loaded, result: 'not installed', output };
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function test(
  folder: string,
  tests: string[],
  signal: AbortSignal,
): Promise<Outcome> {
  const report = join(folder, 'report.json');
  const { passed, output } = await run(
    process.execPath,
    [
      join(folder, 'node_modules', 'jest', 'bin', 'jest.js'),
      ...['--json', `--outputFile=${report}`, '--runTestsByPath', ...tests],
    ],
    folder,
    signal,
  );
  const loaded = await Promise.all(
    REPORTED.map(name => loadedVersion(folder, name)),
  );
  return { passed, loaded, result: await summary(report), output };
}

async function summary(report: string): Promise<string> {
  if (!existsSync(report)) return 'Jest ended early';
  const { numPassedTests, numTotalTests } = JSON.parse(
    await readFile(report, 'utf8'),
  ) as { numPassedTests: number; numTotalTests: number };
  return `${numPassedTests} of ${numTotalTests} tests passed`;
}
