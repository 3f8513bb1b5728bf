import { notShownOf } from '../../migrations/notShown';
import { showControls } from '../../texts';
import { renderTable } from '../table';
import type { Rehearsed } from './rehearsed';
import { REPORT_COLUMNS, reportRows } from './reportRows';

/** For a terminal. */
export function renderRehearsal(rehearsed: Rehearsed): string {
  const { verdict, sets, notCovered } = rehearsed;
  const rows = reportRows(sets);
  const notes = [
    ...section('Lost', lossesOf(rehearsed)),
    ...section(
      'Not shown by a copy, where nobody else is at work',
      hiddenOf(rehearsed),
    ),
    ...section('To run beforehand, while the portal runs', aheadOf(rehearsed)),
    ...section('Not covered', notCovered),
  ];
  return [
    ...(rows.length > 0 ? [renderTable(REPORT_COLUMNS, rows)] : []),
    ...notes,
    `Verdict: ${showControls(verdict.text)}`,
  ].join('\n');
}

function section(title: string, lines: string[]): string[] {
  if (lines.length === 0) return [];
  return ['', `${title}:`, ...lines.map(line => `  ${showControls(line)}`), ''];
}

export const lossesOf = ({ sets }: Rehearsed): string[] =>
  sets.flatMap(({ set, migrations }) =>
    migrations.flatMap(({ file, lost, again }) => [
      ...lost.map(what => `${set.plugin} ${file}: ${what}`),
      ...(again?.lost ?? []).map(
        what => `${set.plugin} ${file}, if it is taken back: ${what}`,
      ),
    ]),
  );

export const hiddenOf = ({ sets, longestMs }: Rehearsed): string[] =>
  sets.flatMap(({ set, migrations }) =>
    migrations.flatMap(({ file, statements }) =>
      statements.flatMap(({ sql }) => {
        const why = notShownOf(sql, longestMs[set.database]);
        return why ? [`${set.plugin} ${file}: ${oneLine(sql)} ${why}`] : [];
      }),
    ),
  );

export const aheadOf = ({ sets }: Rehearsed): string[] =>
  sets.flatMap(({ set, ahead }) =>
    ahead.map(({ sql }) => `${set.plugin}: ${oneLine(sql)}`),
  );

const LONGEST = 120;

export function oneLine(sql: string): string {
  const line = sql.replace(/\s+/g, ' ').trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
}
