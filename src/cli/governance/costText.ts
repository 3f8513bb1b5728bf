import { capitalize } from 'lodash';
import type { CostBy } from '../../governance/cost';
import type { CostLine, CostTable } from '../../governance/costTable';
import { showControls } from '../../texts';
import { formatSpan, renderTable } from '../table';

const BAR_WIDTH = 20;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

interface Shown {
  by: CostBy;
  since: string;
  currency: string;
  project: string;
  nowMs: number;
}

/** For a terminal: a bar a row, and what the table does not know. */
export function renderCost(table: CostTable, shown: Shown): string {
  const { lines, listPrice, unpriced } = table;
  if (lines.length === 0) return nothing(shown);
  const most = Math.max(...lines.map(line => line.listPrice ?? 0));
  const rows = lines.map(line => [
    ...namesOf(line, shown.by, lines),
    kindOf(line.kind),
    `${amount(line.units)} ${line.unit}`,
    priceOf(line, shown.currency),
    barOf(line.listPrice ?? 0, most),
  ]);
  const headings = {
    day: ['day'],
    branch: ['branch'],
    endpoint: ['branch', 'endpoint'],
  };
  const left = Object.entries(unpriced).map(
    ([unit, units]) => `${amount(units)} ${unit}`,
  );
  return [
    renderTable(
      [...headings[shown.by], 'for', 'units', 'list price', ''],
      rows,
    ),
    '',
    `Total since ${shown.since}: ${money(listPrice, shown.currency)} at list prices` +
      (left.length > 0 ? `, and ${left.join(' and ')} without a price` : ''),
    freshness(table, shown),
    'Discounts, commitments and credits are not in it: what is paid may be less.',
  ].join('\n');
}

const nothing = ({ since, project }: Shown) =>
  [
    `No use of ${project} is on the bill since ${since}.`,
    'Rows come within about 12 hours. If it is older than that, the identity may',
    'see the bills of other workspaces only, or the project may be another one.',
  ].join('\n');

function freshness({ newest }: CostTable, { nowMs }: Shown): string {
  if (!newest) return 'How fresh it is, the bill does not say.';
  const age = formatSpan(nowMs - newest.getTime());
  return `The newest row is of ${newest.toISOString()}, ${age} ago; rows come within about 12 hours.`;
}

function namesOf(
  line: CostLine,
  by: CostBy,
  all: readonly CostLine[],
): string[] {
  if (by === 'day') return [line.day ?? ''];
  const branch = branchOf(line, all);
  if (by === 'branch') return [branch];
  return [branch, line.endpoint ?? line.endpointUid ?? ''];
}

function branchOf(
  { branch, branchUid, endpointUid, deleted }: CostLine,
  all: readonly CostLine[],
): string {
  if (!branchUid) return endpointUid ? '(unknown branch)' : '(the project)';
  // The platform forgets the name of what it has purged.
  if (branch === undefined) return `${branchUid} (purged)`;
  // A name may be given again, to another branch.
  const shared = all.some(
    it => it.branch === branch && it.branchUid !== branchUid,
  );
  return [branch, shared && branchUid, deleted && '(deleted)']
    .filter(Boolean)
    .join(' ');
}

const kindOf = (kind: string) =>
  capitalize(kind.replaceAll('_', ' ')).toLowerCase();

function priceOf(
  { units, unpricedUnits, listPrice, unit }: CostLine,
  currency: string,
): string {
  if (listPrice === undefined) return 'no price';
  const price = money(listPrice, currency);
  return unpricedUnits === 0 || units === unpricedUnits
    ? price
    : `${price} + ${amount(unpricedUnits)} ${unit} without a price`;
}

function barOf(value: number, most: number): string {
  if (!(most > 0) || value <= 0) return '';
  const eighths = Math.round((value / most) * BAR_WIDTH * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}

/** As many digits as tell something: a test branch costs a thousandth. */
const amount = (units: number) =>
  units.toLocaleString('en', { maximumSignificantDigits: 6 });

const LEAST = 0.000001;

function money(value: number, currency: string): string {
  if (value > 0 && value < LEAST) return `<${LEAST.toFixed(6)} ${currency}`;
  const digits = value !== 0 && Math.abs(value) < 0.01 ? 6 : 2;
  const shown = value.toLocaleString('en', {
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  });
  return `${shown} ${currency}`;
}

const COLUMNS: (keyof CostLine)[] = [
  'day',
  'branch',
  'branchUid',
  'deleted',
  'endpoint',
  'endpointUid',
  'kind',
  'unit',
  'units',
  'unpricedUnits',
  'listPrice',
];

/** For a spreadsheet: an empty price is none, and not 0. */
export const costCsv = ({ lines }: CostTable): string =>
  [
    COLUMNS.join(','),
    ...lines.map(line => COLUMNS.map(name => csvCell(line[name])).join(',')),
  ].join('\n');

/** What looks like a formula stays a text there. */
function csvCell(value: string | number | boolean | undefined): string {
  const text = showControls(String(value ?? ''));
  const safe =
    typeof value === 'string' && /^[=+\-@]/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
