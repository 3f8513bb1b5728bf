import type { Emulator } from '../../emulator';
import { HOUR } from '../../testbed/durations';
import { nameOf, PRODUCTION } from '../cli/portal';
import { lakebaseTests } from '../support/lakebase';
import { fetchJson, workspaceToken } from './clients';

const start = lakebaseTests();

interface Result {
  status: { state: string };
  result?: { data_array: string[][] };
}

/** Asks the warehouse as the service principal, until it has answered. */
async function ask({ controlPlane, ...emulator }: Emulator, sql: string) {
  const token = await workspaceToken({ controlPlane, ...emulator });
  const { body } = await fetchJson(
    `${controlPlane.url}/api/2.0/sql/statements`,
    {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        statement: sql,
        warehouse_id: controlPlane.warehouse.id,
        wait_timeout: '50s',
      }),
    },
  );
  return (body as unknown as Result).result?.data_array;
}

const DBUS = `
  SELECT usage_metadata.endpoint_id, round(sum(usage_quantity), 1)
  FROM system.billing.usage WHERE usage_unit = 'DBU' GROUP BY 1 ORDER BY 2`;

describe('the bill', () => {
  it('has the hours for which computes ran, in their sizes', async () => {
    const emulator = await start.emulator();
    const { controlPlane, gateway } = emulator;
    const { catalog } = controlPlane;
    catalog.addBranch(nameOf('b'), { source: PRODUCTION, primary: false });
    const endpoint = `${nameOf('b')}/endpoints/primary`;
    const { uid } = catalog.addEndpoint(endpoint, { minCu: 4 });
    controlPlane.clockOffsetMs += HOUR;
    catalog.changeEndpoint(endpoint, { minCu: 2 });
    controlPlane.clockOffsetMs += HOUR;
    catalog.removeEndpoint(endpoint);
    controlPlane.clockOffsetMs += HOUR;
    await gateway.suspend({ wakeDelayMs: 0 });
    controlPlane.clockOffsetMs += 100 * HOUR;

    const rows = await ask(emulator, DBUS);

    expect(rows).toEqual([
      ['ep-calm-meadow-a1b2c3d4', '3.0'],
      [uid, '6.0'],
    ]);
    // What is billed once is not billed again.
    expect(await ask(emulator, DBUS)).toEqual(rows);
  });

  it('has whole hours of the clock, none of which lies in two', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.clockOffsetMs += 3 * HOUR;

    const [[count]] = (await ask(
      emulator,
      `SELECT count(*) FROM system.billing.usage
       WHERE date_trunc('HOUR', usage_start_time) < date_trunc('HOUR', usage_end_time - INTERVAL 1 MICROSECOND)`,
    ))!;

    expect(count).toBe('0');
  });
});
