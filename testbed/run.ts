import { spawn } from 'node:child_process';
import { omitBy } from 'lodash';

export interface Run {
  passed: boolean;
  output: string;
}

/** Runs a program to its end, or until it is aborted. */
export async function run(
  program: string,
  args: string[],
  folder: string,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv = {},
): Promise<Run> {
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...environment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  let output = '';
  const keep = (text: unknown) => {
    output += String(text);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', keep);
  const exitCode = await new Promise(resolve => child.on('close', resolve));
  return { passed: exitCode === 0, output };
}

/** Without a Postgres server, of which each run starts one of its own. */
const environment = () =>
  omitBy(process.env, (_, name) => name.startsWith('BACKSTAGE_TEST_DATABASE_'));
