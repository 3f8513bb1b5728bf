import { FakeClock } from '../../testbed/fakeClock';
import { killSessions, lakebaseTests } from '../support/lakebase';
import { liveThrough } from '../support/liveThrough';
import { HOUR, MINUTE, SECOND } from '../../testbed/durations';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

/** A portal whose clock differs from the platform's by so much. */
async function startPortal(aheadMs = 0) {
  const emulator = await start.emulator();
  emulator.controlPlane.clockOffsetMs = -aheadMs;
  const clock = new FakeClock();
  clock.setWall({ byMs: Date.now() - clock.wall() });
  const lakebase = start.lakebase(emulator, schemaMode, { clock });
  const knex = await lakebase.getClient('catalog');
  const mints = () => emulator.controlPlane.count('credentials');
  const login = async () => {
    await killSessions(emulator, knex);
    await knex.raw('select 1');
  };
  return { emulator, clock, knex, mints, login };
}

describe('the clock of the machine is wrong', () => {
  it.each([
    ['2 h ahead', 2 * HOUR],
    ['2 h behind', -2 * HOUR],
    ['a year ahead', 365 * 24 * HOUR],
  ])(
    '(%s), and credentials are renewed as if it were right',
    async (_, aheadMs) => {
      const { emulator, clock, mints, login } = await startPortal(aheadMs);

      for (let hour = 0; hour < 3; hour += 0.5) {
        await liveThrough(emulator, clock, HOUR / 2);
        await login();
      }

      // One at the start, and one every 25 minutes.
      expect(mints()).toBe(1 + Math.floor((3 * 60) / 25));
      expect(emulator.gateway.refusals).toEqual([]);
    },
  );
});

describe('somebody sets the clock of the machine', () => {
  it('back by 2 h, and no expired credential is used', async () => {
    const { emulator, clock, knex, mints } = await startPortal();
    emulator.controlPlane.answer('credentials', { status: 503 });
    await liveThrough(emulator, clock, 30 * MINUTE);

    clock.setWall({ byMs: -2 * HOUR });
    await liveThrough(emulator, clock, 40 * MINUTE);
    emulator.controlPlane.recover();
    const before = mints();
    await killSessions(emulator, knex);
    const query = knex.raw('select 1').then();
    // No longer, since the login that follows takes real time.
    while (mints() === before) await liveThrough(emulator, clock, SECOND);

    await expect(query).resolves.toBeDefined();
    expect(mints()).toBe(before + 1);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('back by 2 h, and the next renewal is no later than it was', async () => {
    const { emulator, clock, mints } = await startPortal();

    clock.setWall({ byMs: -2 * HOUR });
    await liveThrough(emulator, clock, 26 * MINUTE);

    expect(mints()).toBe(2);
  });

  it('forward by 2 h, which costs one mint', async () => {
    const { emulator, clock, mints, login } = await startPortal();

    clock.setWall({ byMs: 2 * HOUR });
    await login();
    await liveThrough(emulator, clock, 20 * MINUTE);
    await login();

    expect(mints()).toBe(2);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('to and fro, ten times, and there is no storm', async () => {
    const { emulator, clock, mints, login } = await startPortal();

    for (let time = 0; time < 10; time++) {
      clock.setWall({ byMs: time % 2 ? -2 * HOUR : 2 * HOUR });
      await login();
      await liveThrough(emulator, clock, MINUTE);
    }

    expect(mints()).toBeLessThanOrEqual(6);
    expect(emulator.gateway.refusals).toEqual([]);
  });
});

describe('the machine sleeps past the end of the credential', () => {
  it('and the first query after it waits for one mint', async () => {
    const { emulator, clock, mints, login } = await startPortal();

    emulator.controlPlane.clockOffsetMs += 8 * HOUR;
    clock.sleep(8 * HOUR);
    await Promise.all([login(), login()]);

    expect(mints()).toBe(2);
    expect(emulator.gateway.refusals).toEqual([]);
  });
});
