import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Read as a file: not every package exports its own. */
export function readPackage(name: string): { version: string } {
  const file = join(
    __dirname,
    '..',
    '..',
    'node_modules',
    name,
    'package.json',
  );
  return JSON.parse(readFileSync(file, 'utf8')) as { version: string };
}
