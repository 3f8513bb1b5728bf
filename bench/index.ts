/**
 * Measures side by side with the peers, and writes docs/benchmarks.md.
 *
 *   npm run bench                 all but the backends
 *   npm run bench -- <name> ...   only these; the results of others are kept
 *   npm run bench -- backstage    whole backends
 */
import { join } from 'node:path';
import { benchmarks } from './benchmarks';
import { runWithNode22 } from '../testbed/node22';

async function main(names: string[]): Promise<number> {
  const known = benchmarks.map(({ name }) => name);
  const unknown = names.filter(name => !known.includes(name));
  if (unknown.length === 0) {
    return runWithNode22(join(__dirname, 'measureAll.ts'), names);
  }
  console.error(
    `No benchmark ${unknown.join(', ')}. There are: ${known.join(', ')}`,
  );
  return 2;
}

void main(process.argv.slice(2)).then(code => {
  process.exitCode = code;
});
