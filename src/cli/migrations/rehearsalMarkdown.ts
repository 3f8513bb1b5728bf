import { inSeconds } from '../../migrations/verdict';
import { showControls } from '../../texts';
import { hiddenOf, lossesOf } from './rehearsalText';
import type { Rehearsed } from './rehearsed';
import { REPORT_COLUMNS, reportRows } from './reportRows';

/** By which a workflow finds its comment again. */
const MARKER = '<!-- backstage-lakebase: rehearse -->';

/** For a comment on a pull request. */
export function toMarkdown(rehearsed: Rehearsed): string {
  const { verdict, sets, notCovered, source, at } = rehearsed;
  const rows = reportRows(sets);
  const table =
    rows.length === 0
      ? []
      : [REPORT_COLUMNS, REPORT_COLUMNS.map(() => '---'), ...rows].map(
          row => `| ${row.map(escape).join(' | ')} |`,
        );
  return [
    MARKER,
    `## Migrations: ${escape(verdict.text)}`,
    '',
    `Rehearsed on a copy of \`${source}\`, ${at}.`,
    '',
    ...table,
    ...list('What is lost', lossesOf(rehearsed)),
    ...list(
      'Not shown by a copy, where nobody else is at work',
      hiddenOf(rehearsed).map(
        ({ why, statements }) => `${statements.join('; ')}: ${why}`,
      ),
    ),
    ...beforehand(rehearsed),
    ...differences(rehearsed),
    ...list('Not covered', notCovered),
    '',
  ].join('\n');
}

const list = (title: string, lines: string[]) =>
  lines.length === 0
    ? []
    : ['', `### ${title}`, '', ...lines.map(line => `- ${escape(line)}`)];

function beforehand({ sets }: Rehearsed): string[] {
  const some = sets.filter(({ ahead }) => ahead.length > 0);
  if (some.length === 0) return [];
  return [
    '',
    '### To run beforehand, while the portal runs',
    ...some.flatMap(({ set, ahead }) => [
      '',
      `Plugin ${set.plugin} ([notes of ${set.folder.package}](${set.folder.notes})): ${ahead
        .map(
          it =>
            `${it.file} takes ${inSeconds(it.msAfter)} then, not ${inSeconds(it.msBefore)}`,
        )
        .join(', ')}.`,
      '',
      '```sql',
      `SET search_path = '${set.schema.replaceAll("'", "''")}';`,
      ...ahead.map(({ sql }) => sql),
      '```',
    ]),
  ];
}

function differences({ sets }: Rehearsed): string[] {
  const lines = sets.flatMap(({ set, migrations }) =>
    migrations.flatMap(({ file, down }) =>
      (down?.differences ?? []).map(line => ({ set, file, line })),
    ),
  );
  if (lines.length === 0) return [];
  return [
    '',
    '<details><summary>What `down` does not bring back</summary>',
    '',
    '```diff',
    ...lines.map(({ set, file, line }) =>
      [`@@ ${set.plugin} ${file} @@`, showLines(line)].join('\n'),
    ),
    '```',
    '',
    '</details>',
  ];
}

/** A fence in somebody's function would end ours. */
const showLines = (text: string) =>
  text
    .split('\n')
    .map(line => showControls(line).replaceAll('```', "'''"))
    .join('\n');

const escape = (text: string) =>
  showControls(text)
    .replace(/[\\`*_{}[\]<>|]/g, character => `\\${character}`)
    .replaceAll('@', '@\u200b');
