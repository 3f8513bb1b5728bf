import { COMPUTE_SKU, STORAGE_SKU } from '../../../emulator/warehouse/meter';
import { DAY, HOUR } from '../../../testbed/durations';
import { nameOf, PRODUCTION } from '../portal';
import { billedPortals } from './portalOnBill';

const start = billedPortals();

interface Line {
  day?: string;
  branch?: string;
  branchUid?: string;
  endpoint?: string;
  deleted?: boolean;
  kind: string;
  units: number;
  unpricedUnits: number;
  listPrice?: number;
}

interface Told {
  listPrice: number;
  unpriced: Record<string, number>;
  newest: string;
  lines: Line[];
}

/** Exact up to the seconds that a test takes. */
const about = (value: number) => expect.closeTo(value, 2) as number;

/**
 * A month: production all the time, one branch of one CU for four days, which
 * is deleted, and one of two CU for ten days; the price doubles at a full hour
 * of the fifteenth day, and storage has none.
 */
async function month() {
  const billed = await start();
  const { emulator, pass, now } = billed;
  const { catalog, warehouse } = emulator.controlPlane;
  const tables = await warehouse.tables();
  await tables.removePrices(STORAGE_SKU);
  const begin = now();
  catalog.addBranch(nameOf('ci-pr-7'), {
    source: PRODUCTION,
    expiresAt: begin + 30 * DAY,
  });
  pass(4 * DAY);
  catalog.deleteBranch(nameOf('ci-pr-7'), now());
  pass(11 * DAY);
  const change = Math.floor(now() / HOUR) * HOUR;
  await tables.setPrice(COMPUTE_SKU, 0.222, change);
  catalog.addBranch(nameOf('dev-x'), { source: PRODUCTION, primary: false });
  catalog.addEndpoint(`${nameOf('dev-x')}/endpoints/primary`, { minCu: 2 });
  const made = now();
  pass(15 * DAY);
  const hoursBefore = (change - begin) / HOUR;
  const hoursAfter = (now() - change) / HOUR;
  return {
    ...billed,
    production: hoursBefore * 0.111 + hoursAfter * 0.222,
    pullRequest: 4 * 24 * 0.111,
    developer: ((now() - made) / HOUR) * 2 * 0.222,
    hours: hoursBefore + hoursAfter,
  };
}

describe('cost', () => {
  it('is what a sum by hand gives, by branch', async () => {
    const told = await month();
    const { run, warehouse, production, pullRequest, developer, hours } = told;

    const { stdout, exitCode } = await run(
      ...['cost', '--days', '31', '--warehouse', warehouse, '--json'],
    );

    expect(exitCode).toBe(0);
    const { lines, listPrice, unpriced } = JSON.parse(stdout) as Told;
    expect(lines.filter(({ kind }) => kind === 'COMPUTE')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          branch: 'production',
          deleted: false,
          units: about(hours),
          unpricedUnits: 0,
          listPrice: about(production),
        }),
        expect.objectContaining({
          branch: 'ci-pr-7',
          deleted: true,
          units: about(4 * 24),
          listPrice: about(pullRequest),
        }),
        expect.objectContaining({
          branch: 'dev-x',
          units: about(15 * 24 * 2),
          listPrice: about(developer),
        }),
      ]),
    );
    expect(listPrice).toBeCloseTo(production + pullRequest + developer, 1);
    const storage = lines.filter(({ kind }) => kind !== 'COMPUTE');
    expect(storage.map(line => line.kind).sort()).toEqual([
      'BRANCH_CHANGE_STORAGE',
      'BRANCH_DATA_STORAGE',
      'BRANCH_HISTORY_STORAGE',
    ]);
    for (const line of storage) {
      expect(line).not.toHaveProperty('listPrice');
      expect(line).not.toHaveProperty('branchUid');
      expect(line.unpricedUnits).toBe(line.units);
    }
    const sum = storage.reduce((total, { units }) => total + units, 0);
    expect(unpriced.DSU).toBeCloseTo(sum, 9);
  });

  it('shows a bar a row, what has no price, and how fresh it is', async () => {
    const { run, warehouse } = await month();

    const { stdout } = await run(
      ...['cost', '--days', '31', '--warehouse', warehouse],
    );

    expect(stdout).toMatch(/^branch +for +units +list price$/m);
    expect(stdout).toMatch(
      /^production +compute +7\d\d\S* DBU +\d+\.\d\d USD +█/m,
    );
    expect(stdout).toMatch(
      /^ci-pr-7 \(deleted\) +compute +96\S* DBU +10\.66 USD/m,
    );
    expect(stdout).toMatch(
      /^\(the project\) +branch data storage .* DSU +no price$/m,
    );
    expect(stdout).toMatch(/ at list prices, and \S+ DSU without a price$/m);
    expect(stdout).toMatch(/^The newest row is of 20\S+Z, \d+s ago/m);
    expect(stdout).toMatch(/Discounts, commitments and credits are not in it/);
  });

  it('names endpoints, and the branch of one whose row names none', async () => {
    const { run, warehouse, emulator } = await month();
    const tables = await emulator.controlPlane.warehouse.tables();
    await run('cost', '--warehouse', warehouse);
    await tables.forget('branch_id');

    const { stdout } = await run(
      ...['cost', '--by', 'endpoint', '--days', '31'],
      ...['--warehouse', warehouse, '--json'],
    );

    const { lines } = JSON.parse(stdout) as Told;
    const computes = lines.filter(({ kind }) => kind === 'COMPUTE');
    expect(computes.map(({ branch, endpoint }) => [branch, endpoint])).toEqual(
      expect.arrayContaining([
        ['production', 'primary'],
        ['dev-x', 'primary'],
        // Its endpoint is gone with it, and so is what it was called.
        [undefined, undefined],
      ]),
    );
  });

  it('sums up days, which are those of the platform', async () => {
    const { run, warehouse } = await month();

    const { stdout } = await run(
      ...['cost', '--by', 'day', '--days', '3', '--warehouse', warehouse],
      '--csv',
    );

    const [header, ...lines] = stdout.trim().split('\n');
    expect(header).toBe(
      'day,branch,branchUid,deleted,endpoint,endpointUid,kind,unit,units,unpricedUnits,listPrice',
    );
    const days = new Set(lines.map(line => line.split(',')[0]));
    expect(days.size).toBe(4);
    // What has no price has an empty cell, and not 0.
    expect(lines.find(line => line.includes('BRANCH_DATA'))).toMatch(/,$/);
  });

  it('shows no control characters of others, nor formulas', async () => {
    const { run, warehouse, emulator } = await start();
    emulator.controlPlane.answer('statement', {
      body: {
        statement_id: 's',
        status: { state: 'SUCCEEDED' },
        manifest: {
          schema: { columns: [{ name: 'kind' }, { name: 'unit' }] },
        },
        result: { data_array: [['=1+1', 'a\u001b[2J,"b"']] },
      },
    });
    const ask = (...args: string[]) =>
      run('cost', '--warehouse', warehouse, ...args);

    const [csv, text] = [await ask('--csv'), await ask()];

    expect(csv.stdout).toContain(`,'=1+1,"a\\u{1b}[2J,""b""",`);
    expect(text.stdout).not.toContain('\u001b');
  });

  it('counts corrections, which are rows with less than nothing', async () => {
    const { run, warehouse, pass, emulator } = await start();
    pass(2 * DAY);
    const tables = await emulator.controlPlane.warehouse.tables();
    await run('cost', '--warehouse', warehouse);
    await tables.retractAll();

    const { stdout } = await run('cost', '--warehouse', warehouse, '--json');

    const { lines } = JSON.parse(stdout) as Told;
    for (const { units } of lines) expect(units).toBeCloseTo(0, 2);
  });

  it('tells what an empty answer may mean', async () => {
    const { run, warehouse, emulator } = await start();
    emulator.controlPlane.warehouse.billingDelayMs = 12 * HOUR;

    const { stdout, exitCode } = await run('cost', '--warehouse', warehouse);

    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/No use of projects\/backstage is on the bill/);
    expect(stdout).toMatch(/within about 12 hours/);
  });

  it('prints its SQL where no warehouse is named', async () => {
    const { run, emulator } = await start();

    const { stdout } = await run('cost', '--days', '7');
    const json = await run('cost', '--days', '7', '--json');

    expect(stdout).toMatch(/^-- {3}:project = 5b1c9d0e-/m);
    expect(stdout).toContain('FROM system.billing.usage u');
    const { sql, parameters } = JSON.parse(json.stdout) as {
      sql: string;
      parameters: { name: string }[];
    };
    expect(stdout).toContain(sql);
    for (const { name } of parameters) expect(sql).toContain(`:${name}`);
    expect(emulator.controlPlane.count('submitStatement')).toBe(0);
  });

  it.each([
    [['--days', '0'], /whole number from 1 to 365/],
    [['--by', 'week'], /Allowed choices are day, branch, endpoint/],
    [['--currency', 'euro'], /a code such as USD/],
    [['--json', '--csv'], /two forms: give one/],
    [['--warehouse', 'a b'], /--warehouse is no id of a SQL warehouse/],
  ])('refuses %j', async (args, text) => {
    const { run } = await start();

    const { exitCode, stderr } = await run('cost', ...args);

    expect(exitCode).toBe(2);
    expect(stderr).toMatch(text);
  });
});
