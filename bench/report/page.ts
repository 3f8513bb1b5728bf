import { contenders } from '../../testbed/contenders';
import type { Table } from '../benchmarks';
import type { Result } from './results';

const INTRODUCTION = `# Benchmarks

Made by \`npm run bench\`, on the emulator of this project: a control plane, a
TLS gateway and a real Postgres on one machine. Everybody runs as installed from
the registry, in turns within one run. Machines are noisy, so \`static\` takes
part twice: how far it is from itself (A/A) is how far numbers can be trusted.
A timing meets its target when it is no worse than the slowest run of
\`static\`, stock Knex with a password that never changes. Counts are exact.
`;

export function page(results: Result[]): string {
  const who = contenders.map(
    ({ name, description }) => `- \`${name}\`: ${description}`,
  );
  return [
    INTRODUCTION,
    ...who,
    '',
    '## Targets',
    '',
    ...targets(results),
    ...results.flatMap(section),
  ].join('\n');
}

function targets(results: Result[]): string[] {
  const rows = results.flatMap(({ title, targets: found }) =>
    found.map(target => [
      title,
      target.promise,
      target.found,
      target.met ? 'met' : '**missed**',
    ]),
  );
  return [...table({ columns: ['', 'target', 'found', ''], rows }), ''];
}

const pictures = ({ plots = [] }: Result, folder: string): string[] =>
  plots.flatMap(({ name, title }) => [
    `![${title}](${folder}/${name}.svg)`,
    '',
  ]);

function section(result: Result): string[] {
  return [
    `## ${result.title}`,
    '',
    `${result.method}.`,
    '',
    ...result.tables.flatMap(each => [...table(each), '']),
    ...pictures(result, 'benchmarks'),
    `Measured on ${result.day}, ${result.machine}, with ${result.versions}.`,
    '',
  ];
}

function table({ columns, rows }: Table): string[] {
  const line = (cells: (string | number)[]) =>
    `| ${cells.map(cell => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)];
}
