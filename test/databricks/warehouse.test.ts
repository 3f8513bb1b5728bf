import type { Emulator } from '../../emulator';
import {
  readWarehouseId,
  type Statement,
  Warehouse,
} from '../../src/databricks/warehouse';
import { LakebaseError } from '../../src/errors';
import { FakeClock } from '../../testbed/fakeClock';
import { lakebaseTests } from '../support/lakebase';
import { createWorkspace, createWorkspaceAt } from '../support/workspaces';

const start = lakebaseTests();

const STATEMENT: Omit<Statement, 'sql'> = {
  action: 'read a table',
  schema: 'system.billing',
  parameters: [],
};

function warehouseOf(emulator: Emulator, id?: string) {
  const clock = new FakeClock();
  clock.skipsPauses = true;
  const told: string[] = [];
  const controller = new AbortController();
  const { warehouse: there } = emulator.controlPlane;
  const workspace = createWorkspace(emulator, { clock });
  const warehouse = new Warehouse({
    id: id ?? there.id,
    request: request => workspace.request(request),
    clock,
    signal: controller.signal,
    tell: line => told.push(line),
  });
  const run = (sql: string, parameters: Statement['parameters'] = []) =>
    warehouse.run({ ...STATEMENT, sql, parameters });
  return { warehouse: there, run, clock, told, controller };
}

const failureOf = async (promise: Promise<unknown>): Promise<LakebaseError> => {
  const error: unknown = await promise.catch((it: unknown) => it);
  if (error instanceof LakebaseError) return error;
  throw new Error(`No LakebaseError: ${String(error)}`);
};

describe('a statement', () => {
  it('gets its values beside the text, and all as text', async () => {
    const { run } = warehouseOf(await start.emulator());
    const hostile = `x'; DROP TABLE system.billing.usage; --`;

    const { rows } = await run(
      `SELECT :name AS name, ':name' AS said, CAST(:day AS DATE) AS day, 1 AS one, NULL AS nothing`,
      [
        { name: 'name', value: hostile, type: 'STRING' },
        { name: 'day', value: '2026-11-01', type: 'DATE' },
      ],
    );

    expect(rows).toEqual([
      {
        name: hostile,
        said: ':name',
        day: '2026-11-01',
        one: '1',
        nothing: null,
      },
    ]);
    expect(
      (await run('SELECT count(*) AS n FROM system.billing.usage')).rows,
    ).toHaveLength(1);
  });

  it('is read chunk by chunk to its last row', async () => {
    const { run, warehouse } = warehouseOf(await start.emulator());
    warehouse.rowsPerChunk = 7;

    const { rows } = await run('SELECT range AS n FROM range(20) ORDER BY 1');

    expect(rows.map(({ n }) => Number(n))).toEqual([...Array(20).keys()]);
  });

  it('may be linked to its chunks by address only', async () => {
    const emulator = await start.emulator();
    const { run, warehouse } = warehouseOf(emulator);
    warehouse.rowsPerChunk = 7;
    const withoutIndex = (body: { next_chunk_index?: number }) => ({
      ...body,
      next_chunk_index: undefined,
    });
    emulator.controlPlane.answer('statementChunk', { change: withoutIndex });

    const { rows } = await run('SELECT range AS n FROM range(20)');

    expect(rows).toHaveLength(20);
  });

  it('may wait for the warehouse, which is said once', async () => {
    const { run, warehouse, told, clock } = warehouseOf(await start.emulator());
    clock.skipsPauses = false;
    warehouse.hold(true);

    const running = run('SELECT 1 AS one');
    for (let waited = 0; waited < 20_000; waited += 1_000) {
      await clock.paused();
      await clock.advance(1_000);
    }
    clock.skipsPauses = true;
    warehouse.hold(false);
    await clock.advance(5_000);

    expect((await running).rows).toEqual([{ one: '1' }]);
    expect(told).toEqual([
      `SQL warehouse ${warehouse.id} is starting up; waiting for it`,
    ]);
  });

  it('is cancelled when whoever asked goes away', async () => {
    const { run, warehouse, clock, controller } = warehouseOf(
      await start.emulator(),
    );
    clock.skipsPauses = false;
    warehouse.hold(true);

    const running = run('SELECT 1').catch(() => 'ended');
    await clock.paused();
    controller.abort();

    expect(await running).toBe('ended');
    expect(warehouse.states()).toEqual(['CANCELED']);
  });

  it('is cancelled when it takes too long', async () => {
    const { run, warehouse } = warehouseOf(await start.emulator());
    warehouse.hold(true);

    const error = await failureOf(run('SELECT 1'));

    expect(error.message).toMatch(/more than 15 minutes/);
    expect(warehouse.states()).toEqual(['CANCELED']);
  });

  it('is tried again when the workspace is busy', async () => {
    const emulator = await start.emulator();
    const { run } = warehouseOf(emulator);
    const { controlPlane } = emulator;
    controlPlane.answer('submitStatement', { status: 429 }, { times: 2 });
    controlPlane.answer('statement', { status: 503 }, { times: 2 });

    expect((await run('SELECT 1 AS one')).rows).toEqual([{ one: '1' }]);
    expect(controlPlane.count('submitStatement')).toBe(3);
  });
});

describe('a statement fails with its cure', () => {
  const OTHER = 'no-such-warehouse';

  it.each<[string, (emulator: Emulator) => void, string, RegExp]>([
    [
      'on a stopped warehouse',
      ({ controlPlane }) => (controlPlane.warehouse.state = 'STOPPED'),
      'warehouse-stopped',
      /Start the warehouse/,
    ],
    [
      'on a warehouse of others',
      ({ controlPlane, servicePrincipal }) =>
        controlPlane.warehouse.setPermission(servicePrincipal.clientId, {
          use: false,
        }),
      'permission-denied',
      /CAN USE on the SQL warehouse/,
    ],
    [
      'without a right to read',
      ({ controlPlane, servicePrincipal }) =>
        controlPlane.warehouse.setPermission(servicePrincipal.clientId, {
          system: false,
        }),
      'permission-denied',
      /may not read system\.billing .*INSUFFICIENT_PERMISSIONS.*GRANT USE SCHEMA, SELECT ON SCHEMA system\.billing/,
    ],
    [
      'where the schema is not enabled',
      ({ controlPlane }) =>
        controlPlane.answer('statement', {
          body: failed('[TABLE_OR_VIEW_NOT_FOUND] The table is not there'),
        }),
      'permission-denied',
      /enables the schema system\.billing/,
    ],
    [
      'on a classic warehouse that may not',
      ({ controlPlane }) =>
        controlPlane.answer('statement', {
          body: failed('PERMISSION_DENIED: serverless only'),
        }),
      'permission-denied',
      /another kind than serverless/,
    ],
    [
      'when somebody ends it',
      ({ controlPlane }) =>
        controlPlane.answer('statement', {
          body: { statement_id: 's', status: { state: 'CANCELED' } },
        }),
      'statement-failed',
      /ended from outside \(CANCELED\)/,
    ],
    [
      'when the platform cannot read it',
      ({ controlPlane }) =>
        controlPlane.answer('statement', {
          body: failed('[FIELD_NOT_FOUND] No such struct field secret-value'),
        }),
      'statement-failed',
      /FAILED, FIELD_NOT_FOUND.*prints without --warehouse/,
    ],
  ])('%s', async (_, prepare, code, text) => {
    const emulator = await start.emulator();
    const { run } = warehouseOf(emulator);
    prepare(emulator);

    const error = await failureOf(
      run('SELECT count(*) AS n FROM system.billing.usage'),
    );

    expect(error).toMatchObject({
      code,
      message: expect.stringMatching(text) as string,
    });
    expect(error.message).not.toMatch(/secret-value/);
  });

  it('on a warehouse that there is not', async () => {
    const { run } = warehouseOf(await start.emulator(), OTHER);

    expect(await failureOf(run('SELECT 1'))).toMatchObject({
      code: 'warehouse-missing',
      message: expect.stringMatching(/DATABRICKS_WAREHOUSE_ID/) as string,
    });
  });

  it('as somebody whom the workspace does not know', async () => {
    const { controlPlane } = await start.emulator();
    const workspace = createWorkspaceAt(controlPlane.url);
    const warehouse = new Warehouse({
      id: controlPlane.warehouse.id,
      request: request => workspace.request(request),
      clock: new FakeClock(),
      signal: new AbortController().signal,
      tell: () => {},
    });

    const error = await failureOf(
      warehouse.run({ ...STATEMENT, sql: 'SELECT 1' }),
    );

    expect(error.code).toBe('client-refused');
  });
});

describe('the id of a warehouse', () => {
  it.each([
    '4f1c2a9be0d37a58',
    ' 4f1c2a9be0d37a58\n',
    '/sql/1.0/warehouses/4f1c2a9be0d37a58',
  ])('is read from %j', value => {
    expect(readWarehouseId(value, '--warehouse')).toBe('4f1c2a9be0d37a58');
  });

  it.each(['', 'a b', 'https://x.cloud.databricks.com/sql/1'])(
    'is not in %j',
    value => {
      expect(() => readWarehouseId(value, '--warehouse')).toThrow(
        /--warehouse is no id of a SQL warehouse. Take the id/,
      );
    },
  );
});

const failed = (message: string) => ({
  statement_id: 's',
  status: { state: 'FAILED', error: { error_code: 'BAD_REQUEST', message } },
});
