import { last } from 'lodash';
import { pictures, targets } from './page';
import type { Result } from './results';

const BEGIN = '<!-- Written by `npm run bench`, from here';
const END = '<!-- end -->';

/** The README with these results in its section about them. */
export function withResults(readme: string, results: Result[]): string {
  const [before, rest] = readme.split(BEGIN);
  const [heading] = rest.split('\n');
  const [, after] = rest.split(END);
  const { day, machine, versions } = last(results)!;
  const section = [
    BEGIN + heading,
    '',
    `Measured on ${day}, ${machine}, with ${versions}, all on one machine and on the emulator. A timing passes if it falls within the spread of the baseline, stock Knex with a static password; [docs/benchmarks.md](./docs/benchmarks.md) has the numbers of all peers.`,
    '',
    ...targets(results),
    ...results.flatMap(result => pictures(result, './docs/benchmarks')),
    END,
  ];
  return before + section.join('\n') + after;
}
