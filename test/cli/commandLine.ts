import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import type { JsonObject } from '@backstage/types';
import type { Emulator } from '../../emulator';
import type { Result } from '../../src/cli/doctor/check';
import { commandLine, type Outcome } from '../../testbed/commandLine';
import { lakebaseConfig } from '../support/lakebase';

export { commandLine, type Outcome };

/** Folders with app-configs, removed after each test. */
export function configFiles() {
  const folders: string[] = [];

  afterEach(async () => {
    for (const folder of folders.splice(0)) {
      await rm(folder, { recursive: true });
    }
  });

  const write = async (content: string) => {
    const folder = await mkdtemp(join(tmpdir(), 'backstage-lakebase-test-'));
    folders.push(folder);
    const file = join(folder, 'app-config.yaml');
    await writeFile(file, content);
    return file;
  };

  return {
    write,
    /** For this emulator, with pools that fit the server of the tests. */
    leadingTo: (emulator: Emulator, overrides: JsonObject = {}) =>
      write(
        JSON.stringify(
          lakebaseConfig(emulator, {
            pluginDivisionMode: 'schema',
            knexConfig: { pool: { max: 2 } },
            ...overrides,
          }),
        ),
      ),
  };
}

export interface Diagnosis {
  exitCode: number;
  results: Result[];
  /** The first check that did not pass. */
  failure: Result;
  /** Those of the endpoint that were not run. */
  skipped: string[];
}

/** What the doctor tells machines. */
export async function diagnosis(
  file: string,
  ...args: string[]
): Promise<Diagnosis> {
  const outcome = await commandLine([
    'doctor',
    '--json',
    '--config',
    file,
    ...args,
  ]);
  const { results } = JSON.parse(outcome.stdout) as { results: Result[] };
  const failure = results.find(({ status }) => status === 'fail')!;
  const skipped = results
    .filter(({ status }) => status === 'skipped')
    .map(({ check }) => check)
    .filter(check => check !== 'search engine');
  return { exitCode: outcome.exitCode, results, failure, skipped };
}

/** Starts the command as a shell does, in a process of its own. */
export function spawnCommand(
  args: string[],
  env: NodeJS.ProcessEnv = {},
  cwd = process.cwd(),
) {
  const entry = join(__dirname, '..', '..', 'src', 'cli', 'index.ts');
  const tsx = pathToFileURL(require.resolve('tsx')).href;
  return spawn(process.execPath, ['--import', tsx, entry, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Runs it to its end. */
export async function childProcess(
  args: string[],
  env: NodeJS.ProcessEnv = {},
  cwd?: string,
): Promise<Outcome> {
  const child = spawnCommand(args, env, cwd);
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  return { exitCode, stdout, stderr };
}
