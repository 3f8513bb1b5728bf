import type { Knex } from 'knex';
import { FakeClock, passTime, settle } from '../../testbed/fakeClock';
import { killSessions, lakebaseTests } from '../support/lakebase';
import { HOUR, MINUTE } from '../../testbed/durations';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

async function startOnFakeClock() {
  const emulator = await start.emulator();
  const clock = new FakeClock();
  const lakebase = start.lakebase(emulator, schemaMode, { clock });
  const knex = await lakebase.getClient('catalog');
  const minted = () =>
    lakebase.lines.filter(({ message }) => /^Minted/.test(message)).length;
  /** Lets half a life pass, which is when the credential is refreshed. */
  const passHalfALife = async () => {
    const before = minted();
    await passTime(emulator, clock, HOUR / 2);
    while (minted() === before) await settle();
  };
  return { emulator, clock, knex, passHalfALife };
}

async function pidOf(connection: Knex): Promise<number> {
  const { rows } = await connection.raw<{ rows: { pid: number }[] }>(
    'select pg_backend_pid() as pid',
  );
  return rows[0].pid;
}

describe('something keeps the event loop busy', () => {
  it('past the time to refresh: the next connection still has a credential', async () => {
    const { emulator, clock, knex } = await startOnFakeClock();
    await killSessions(emulator, knex);

    emulator.controlPlane.clockOffsetMs = 40 * MINUTE;
    clock.block(40 * MINUTE);
    emulator.controlPlane.answer('credentials', { hang: true }, { times: 1 });
    const received = emulator.controlPlane.once('credentials', 'received');
    await knex.raw('select 1');

    // It did not wait for the refresh, which is made up for at once.
    await received;
    expect(emulator.gateway.logins).toHaveLength(2);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('past the expiry: the next connections wait for one mint', async () => {
    const { emulator, clock, knex } = await startOnFakeClock();
    await killSessions(emulator, knex);

    emulator.controlPlane.clockOffsetMs = 2 * HOUR;
    clock.block(2 * HOUR);
    await Promise.all([pidOf(knex), pidOf(knex), pidOf(knex)]);
    await clock.advance(0);

    expect(emulator.controlPlane.count('credentials')).toBe(2);
    expect(emulator.gateway.refusals).toEqual([]);
  });
});

describe('a transaction takes longer than its credential lives', () => {
  it('it commits after two rollovers, on the connection that it began on', async () => {
    const { emulator, knex, passHalfALife } = await startOnFakeClock();
    await knex.raw('create table entities (name text)');

    await knex.transaction(async tx => {
      const pid = await pidOf(tx);
      await tx('entities').insert({ name: 'before' });
      for (let half = 0; half < 4; half++) await passHalfALife();
      await tx('entities').insert({ name: 'after' });
      expect(await pidOf(tx)).toBe(pid);
    });

    await expect(knex('entities').pluck('name')).resolves.toEqual([
      'before',
      'after',
    ]);
    expect(emulator.controlPlane.count('credentials')).toBe(5);
  });
});
