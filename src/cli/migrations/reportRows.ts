import { sumBy } from 'lodash';
import type { SetReport } from '../../migrations/rehearsal';
import type { MigrationReport } from '../../migrations/report';
import { inSeconds } from '../../migrations/verdict';

export const REPORT_COLUMNS = [
  'plugin',
  'migration',
  'time',
  'reads blocked',
  'writes blocked',
  'rows written',
  'way back',
];

/** One line per migration. */
export const reportRows = (sets: readonly SetReport[]): string[][] =>
  sets.flatMap(({ set, migrations }) =>
    migrations.map(migration => [
      set.plugin,
      migration.file + (migration.transactional ? '' : ' (no transaction)'),
      migration.error === undefined ? inSeconds(migration.ms) : 'failed',
      worst(migration, 'readsMs'),
      worst(migration, 'writesMs'),
      written(migration),
      wayBack(migration),
    ]),
  );

function worst({ blocked }: MigrationReport, key: 'readsMs' | 'writesMs') {
  const ms = Math.max(0, ...blocked.map(it => it[key]));
  if (ms === 0) return '-';
  const { table } = blocked.find(it => it[key] === ms)!;
  return `${inSeconds(ms)} (${table})`;
}

const written = ({ changes }: MigrationReport) =>
  (['inserted', 'changed', 'deleted'] as const)
    .map(key => [sumBy(changes, key), key] as const)
    .filter(([count]) => count > 0)
    .map(([count, key]) => `${count.toLocaleString('en')} ${key}`)
    .join(', ') || '-';

function wayBack({ down, again }: MigrationReport): string {
  if (!down) return '-';
  if (down.error !== undefined) return `fails: ${down.error}`;
  if (down.differences.length > 0) {
    return down.statements === 0 ? 'does nothing' : 'leaves a difference';
  }
  if (again?.error !== undefined) return `cannot be repeated: ${again.error}`;
  const lost = again && again.lost.length > 0 ? 'loses data, ' : '';
  return `${lost}${inSeconds(down.ms)}`;
}
