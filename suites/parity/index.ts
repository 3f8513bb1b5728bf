import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostgresProcess } from '../../emulator';
import { compare, type Comparison } from './compare';
import {
  DIFFERENCES,
  LAKEBASE_NEEDS,
  STOCK_DEFECTS,
  type Difference,
} from './differences';
import { observe } from './observe';
import { ROWS, type Row } from './rows';
import { startSides } from './sides';

const DOCS = join(__dirname, '..', '..', 'docs');

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

/** The differences that the row has to itself. */
const ownOf = ({ row, allowed }: Result) =>
  allowed.filter(name => row.differs?.includes(name));

/** What is wrong: differences that nobody wants, and wanted ones that are gone. */
function complaints(results: Result[]): string[] {
  const seen = new Set(results.flatMap(({ allowed }) => allowed));
  return [
    ...results.flatMap(({ row, allowed, unexplained }) => [
      ...unexplained.map(
        ({ path, stock, ours }) =>
          `${row.name}: ${path} is ${JSON.stringify(stock)} with the stock ` +
          `connector, ${JSON.stringify(ours)} with ours`,
      ),
      ...(row.differs ?? [])
        .filter(name => !allowed.includes(name))
        .map(name => `${row.name}: does not differ by ${name}`),
    ]),
    ...DIFFERENCES.filter(({ name }) => !seen.has(name)).map(
      ({ name }) => `${name}: no configuration differs by it any more`,
    ),
  ];
}

function reasons(differences: Difference[], results: Result[]): string[] {
  return differences.map(({ name, reason }) => {
    const rows = results.filter(({ allowed }) => allowed.includes(name));
    return `| ${name} | ${rows.length} | ${reason} |`;
  });
}

function page(results: Result[]): string {
  const differing = results.filter(result => ownOf(result).length > 0).length;
  return `# Parity with Backstage's own Postgres connector

Each configuration of \`backend.database\` is run through the stock connector on a plain Postgres and through this module on an emulated Lakebase. What Postgres and the client say of it is compared: database, schema, search path, user after the role, application name, timeouts, objects created and their owners, settings of pool and client, \`migrations.skip\`, where it is refused, what stays open. Made by \`npm run parity\`.

${results.length} configurations: ${results.length - differing} equal but for what holds for all of them, ${differing} with a difference of their own.

| Configuration | Stock and this module |
| --- | --- |
${results
  .map(
    result => `| ${result.row.name} | ${ownOf(result).join(', ') || 'equal'} |`,
  )
  .join('\n')}

## Defects of the stock connector that are mended

| Name | Configurations | What |
| --- | --- | --- |
${reasons(STOCK_DEFECTS, results).join('\n')}

## What Lakebase needs

| Name | Configurations | What |
| --- | --- | --- |
${reasons(LAKEBASE_NEEDS, results).join('\n')}
`;
}

async function main(): Promise<void> {
  const results = await compareAll();
  const text = page(results);
  console.log(text);
  await mkdir(DOCS, { recursive: true });
  await writeFile(join(DOCS, 'parity.md'), text);
  for (const complaint of complaints(results)) {
    console.error(complaint);
    process.exitCode = 1;
  }
}

// Switches off the stock service's keepalive, which nothing stops.
process.env.NODE_ENV = 'test';

// Not awaited: a failure ends the process with its stack.
void main();
