import { last } from 'lodash';
import type { Result } from './results';

const BEGIN = '<!-- Written by `npm run bench`, from here';
const END = '<!-- end -->';

/** The README with these results in its sentence about them. */
export function withResults(readme: string, results: Result[]): string {
  const [before, rest] = readme.split(BEGIN);
  const [heading] = rest.split('\n');
  const [, after] = rest.split(END);
  const { day } = last(results)!;
  const targets = results.flatMap(({ title, targets: found }) =>
    found.map(target => ({ title, ...target })),
  );
  const missed = targets
    .filter(({ met }) => !met)
    .map(({ title, promise, found }) => `${title}, ${promise} (${found})`);
  const section = [
    BEGIN + heading,
    '',
    `**As fast as a static password**: of ${targets.length} targets, measured on ${day} against stock Knex, Backstage's own connector and Databricks' driver, ${targets.length - missed.length} were met${missed.length > 0 ? `; missed: ${missed.join('; ')}` : ''}. [All numbers](./docs/benchmarks.md).`,
    '',
    END,
  ];
  return before + section.join('\n') + after;
}
