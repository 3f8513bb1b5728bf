import { startPostgresProcess } from '../emulator';
import { compare, type Comparison } from '../test/parity/compare';
import {
  LAKEBASE_NEEDS,
  STOCK_DEFECTS,
  type Difference,
} from '../test/parity/differences';
import { observe } from '../test/parity/observe';
import { ROWS, type Row } from '../test/parity/rows';
import { startSides } from '../test/parity/sides';

type Result = Comparison & { row: Row };

async function compareAll(): Promise<Result[]> {
  const postgres = await startPostgresProcess();
  const sides = await startSides(postgres);
  const results: Result[] = [];
  for (const row of ROWS) {
    const stock = await observe(row, sides.stock, sides);
    const ours = await observe(row, sides.ours, sides);
    results.push({ row, ...compare(row, stock, ours) });
  }
  await sides.stop();
  await postgres.stop();
  return results;
}

/** Without the differences that any row may show. */
function verdict({ row, allowed, unexplained }: Result): string {
  if (unexplained.length > 0) {
    const changes = unexplained.map(
      ({ path, stock, ours }) =>
        `${path}: ${JSON.stringify(stock)} → ${JSON.stringify(ours)}`,
    );
    return `**differs**: ${changes.join('; ')}`;
  }
  const own = allowed.filter(name => row.differs?.includes(name));
  return own.length > 0 ? own.join(', ') : 'equal';
}

function reasons(differences: Difference[], results: Result[]): string[] {
  return differences.map(({ name, reason }) => {
    const rows = results.filter(({ allowed }) => allowed.includes(name));
    return `| ${name} | ${rows.length} | ${reason} |`;
  });
}

function report(results: Result[]): string {
  const verdicts = results.map(verdict);
  const equal = verdicts.filter(word => word === 'equal').length;
  const failed = results.filter(({ unexplained }) => unexplained.length > 0);
  return [
    `${results.length} configurations: ${equal} equal but for what holds ` +
      `for all rows, ${results.length - equal - failed.length} with a wanted ` +
      `difference of their own, ${failed.length} with an unwanted one.`,
    '',
    '| configuration | Backstage on Postgres and Lakebase |',
    '|---|---|',
    ...results.map(({ row }, i) => `| ${row.name} | ${verdicts[i]} |`),
    '',
    '| stock defect that is mended | rows | |',
    '|---|---|---|',
    ...reasons(STOCK_DEFECTS, results),
    '',
    '| need of Lakebase | rows | |',
    '|---|---|---|',
    ...reasons(LAKEBASE_NEEDS, results),
  ].join('\n');
}

// Switches off the stock service's keepalive, which nothing stops.
process.env.NODE_ENV = 'test';

void compareAll().then(results => {
  console.log(report(results));
  const failed = results.some(({ unexplained }) => unexplained.length > 0);
  process.exitCode = failed ? 1 : 0;
});
