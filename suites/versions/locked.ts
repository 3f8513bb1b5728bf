import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(__dirname, '..', '..');

const { packages } = JSON.parse(
  readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
) as { packages: Record<string, { version: string }> };

/** The version that the lock file has. */
export const locked = (name: string) =>
  packages[`node_modules/${name}`].version;
