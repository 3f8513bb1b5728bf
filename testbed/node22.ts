import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Databricks' driver needs it. */
const WANTED_MAJOR = 22;

const isNewEnough = Number(process.versions.node.split('.')[0]) >= WANTED_MAJOR;

/**
 * Runs a script with Node 22, or the later one that runs this.
 *
 * @returns its exit code.
 */
export async function runWithNode22(
  script: string,
  args: string[],
): Promise<number> {
  const [command, ...first] = isNewEnough
    ? [process.execPath]
    : ['npx', '-y', `node@${WANTED_MAJOR}`];
  const child = spawn(command, [...first, '--import', 'tsx', script, ...args], {
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}
