import { join } from 'node:path';
import { run } from './run';

const ROOT = join(__dirname, '..');

/**
 * Packs this package into a folder, as it is published.
 *
 * @returns the path of the tarball.
 */
export async function pack(
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  const args = ['pack', '--pack-destination', folder];
  const { passed, output } = await run('npm', args, ROOT, signal);
  if (!passed) throw new Error(`npm pack failed:\n${output}`);
  return join(folder, output.trim().split('\n').at(-1)!);
}
