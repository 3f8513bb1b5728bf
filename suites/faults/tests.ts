import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

const ROOT = join(__dirname, '..', '..');
const TESTS = join(ROOT, 'test');

interface TestResult {
  fullName: string;
  status: string;
}

/** The part of Jest's report that is read here. */
interface Report {
  testResults: { name: string; assertionResults: TestResult[] }[];
}

/** What became of the tests of each file. */
export type TestResults = Map<string, TestResult[]>;

/** Files are in the folder of the tests, and told without their ending. */
export async function runTests(
  files: string[],
  outputFile: string,
): Promise<void> {
  const jest = spawn(
    process.execPath,
    [
      require.resolve('jest/bin/jest'),
      '--json',
      `--outputFile=${outputFile}`,
      '--runTestsByPath',
      ...files.map(file => join(TESTS, `${file}.test.ts`)),
    ],
    { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  await once(jest, 'exit');
}

/** @throws when Jest wrote no such report. */
export async function readReport(file: string): Promise<TestResults> {
  const report = JSON.parse(await readFile(file, 'utf8')) as Report;
  return new Map(
    report.testResults.map(({ name, assertionResults }) => [
      relative(TESTS, name).replace(/\.test\.ts$/, ''),
      assertionResults,
    ]),
  );
}
