import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The README leads to nothing that the package lacks. */
export async function brokenLinks(extracted: string): Promise<string[]> {
  const readme = await readFile(join(extracted, 'README.md'), 'utf8');
  return [...readme.matchAll(/\]\((\.\/[^)#\s]*)/g)]
    .map(([, path]) => path)
    .filter(path => !existsSync(join(extracted, path)))
    .map(path => `README.md leads to ${path}, which is not in the tarball`);
}
