import { groupBy } from 'lodash';
import { notShownOf } from '../../migrations/notShown';
import { showControls } from '../../texts';
import { renderTable } from '../table';
import type { Rehearsed } from './rehearsed';
import { REPORT_COLUMNS, reportRows } from './reportRows';

/** For a terminal. */
export function renderRehearsal(rehearsed: Rehearsed): string {
  const { verdict, sets, notCovered } = rehearsed;
  const rows = reportRows(sets);
  const hidden = hiddenOf(rehearsed).flatMap(({ why, statements }) => [
    `${why}:`,
    ...statements.map(statement => `  ${statement}`),
  ]);
  return [
    ...(rows.length > 0 ? [renderTable(REPORT_COLUMNS, rows), ''] : []),
    ...section('Lost', lossesOf(rehearsed)),
    ...section('Not shown by a copy, where nobody else is at work', hidden),
    ...section('To run beforehand, while the portal runs', aheadOf(rehearsed)),
    ...section('Not covered', notCovered),
    `Verdict: ${showControls(verdict.text)}`,
  ].join('\n');
}

const section = (title: string, lines: string[]): string[] =>
  lines.length === 0
    ? []
    : [`${title}:`, ...lines.map(line => `  ${showControls(line)}`), ''];

export const lossesOf = ({ sets }: Rehearsed): string[] =>
  sets.flatMap(({ set, migrations }) =>
    migrations.flatMap(({ file, lost, again }) => [
      ...lost.map(what => `${set.plugin} ${file}: ${what}`),
      ...(again?.lost ?? []).map(
        what => `${set.plugin} ${file}, if it is taken back: ${what}`,
      ),
    ]),
  );

interface Hidden {
  why: string;
  statements: string[];
}

/** What statements may wait for, and which. */
export function hiddenOf({ sets, longestMs }: Rehearsed): Hidden[] {
  const found = sets.flatMap(({ set, migrations }) =>
    migrations.flatMap(({ file, statements }) =>
      statements.map(({ sql }) => ({
        why: notShownOf(sql, longestMs[set.database]),
        statement: `${set.plugin} ${file}: ${oneLine(sql)}`,
      })),
    ),
  );
  return Object.entries(groupBy(found, it => it.why ?? '')).flatMap(
    ([why, all]) =>
      why ? [{ why, statements: all.map(it => it.statement) }] : [],
  );
}

const aheadOf = ({ sets }: Rehearsed): string[] =>
  sets.flatMap(({ set, ahead }) =>
    ahead.map(({ sql }) => `${set.plugin}: ${oneLine(sql)}`),
  );

const LONGEST = 120;

function oneLine(sql: string): string {
  const line = sql.replace(/\s+/g, ' ').trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
}
