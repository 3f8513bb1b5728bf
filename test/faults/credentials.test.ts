import type { Knex } from 'knex';
import type { Emulator, EmulatorOptions } from '../../emulator';
import { systemClock } from '../../src/time/clock';
import { FakeClock, passTime } from '../../testbed/fakeClock';
import { killSessions, lakebaseTests } from '../support/lakebase';
import { liveThrough } from '../support/liveThrough';
import { DAY, MINUTE, SECOND } from '../../testbed/durations';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

interface Portal {
  emulator: Emulator;
  clock: FakeClock;
  knex: Knex;
}

async function startPortal(
  options: Partial<EmulatorOptions> = {},
  prepare: (emulator: Emulator) => void = () => {},
): Promise<Portal> {
  const emulator = await start.emulator(options);
  prepare(emulator);
  const clock = new FakeClock();
  const lakebase = start.lakebase(emulator, schemaMode, { clock });
  return { emulator, clock, knex: await lakebase.getClient('catalog') };
}

const mintsOf = ({ controlPlane }: Emulator) =>
  controlPlane.count('credentials');

/** Opens a connection again and again, so that a login never fails unseen. */
async function churn(
  { emulator, clock, knex }: Portal,
  forMs: number,
  everyMs: number,
): Promise<void> {
  for (let passed = 0; passed < forMs; passed += everyMs) {
    await liveThrough(emulator, clock, everyMs);
    await killSessions(emulator, knex);
    await knex.raw('select 1');
  }
}

interface Minted {
  token: string;
  expire_time: string;
}

describe('the workspace gives the same credential until it expires', () => {
  it('and is asked for another one every 30 s at the most', async () => {
    let first: Minted | undefined;
    const portal = await startPortal({}, ({ controlPlane }) =>
      controlPlane.answer('credentials', {
        change: (minted: Minted) => (first ??= minted),
      }),
    );
    const { emulator, clock } = portal;
    clock.random = () => 0;

    const gaps: number[] = [];
    let last = 0;
    while (clock.monotonic() < 59 * MINUTE + 50 * SECOND) {
      const before = mintsOf(emulator);
      await liveThrough(emulator, clock, 5 * SECOND);
      if (mintsOf(emulator) === before) continue;
      gaps.push(clock.monotonic() - last);
      last = clock.monotonic();
    }

    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(30 * SECOND);
    expect(gaps.length).toBeGreaterThan(5);

    emulator.controlPlane.recover();
    await churn(portal, 2 * MINUTE, 30 * SECOND);
    expect(emulator.gateway.refusals).toEqual([]);
  });
});

describe('credentials live for a short time', () => {
  it.each([
    ['30 s', 30 * SECOND],
    ['2 min', 2 * MINUTE],
  ])(
    'of %s, and no login fails, with one mint per half life at most',
    async (_, credentialLifeMs) => {
      const portal = await startPortal({ credentialLifeMs });
      portal.clock.random = () => 0;
      const lives = 4;

      await churn(portal, lives * credentialLifeMs, credentialLifeMs / 4);

      const { emulator } = portal;
      expect(emulator.gateway.refusals).toEqual([]);
      const minGapMs = Math.max(credentialLifeMs / 3, 15 * SECOND);
      const most = (lives * credentialLifeMs) / minGapMs;
      expect(mintsOf(emulator)).toBeLessThanOrEqual(1 + most);
      expect(mintsOf(emulator)).toBeGreaterThanOrEqual(2 * lives);
    },
  );
});

describe('a credential lives for 60 days', () => {
  const for60Days = ({ controlPlane }: Emulator) =>
    controlPlane.answer('credentials', {
      change: (minted: Minted) => ({
        ...minted,
        expire_time: new Date(
          Date.now() + controlPlane.clockOffsetMs + 60 * DAY,
        ).toISOString(),
      }),
    });

  it('and no timer is set for more than Node can count, which would fire at once', async () => {
    const timers = jest.spyOn(global, 'setTimeout');
    const emulator = await start.emulator();
    for60Days(emulator);
    // Due after 29 days.
    const clock = { ...systemClock, random: () => 0.9 };
    const lakebase = start.lakebase(emulator, schemaMode, { clock });

    const knex = await lakebase.getClient('catalog');
    await knex.raw('select 1');

    const delays = timers.mock.calls.map(([, delayMs]) => delayMs ?? 0);
    timers.mockRestore();
    expect(Math.max(...delays)).toBe(2 ** 31 - 1);
    expect(mintsOf(emulator)).toBe(1);
  });

  it('and is renewed within half of them', async () => {
    const emulator = await start.emulator();
    for60Days(emulator);
    const clock = new FakeClock();
    clock.longestTimerMs = 2 ** 31 - 1;
    const lakebase = start.lakebase(emulator, schemaMode, { clock });
    await lakebase.getClient('catalog');

    await passTime(emulator, clock, 25 * DAY - MINUTE);
    expect(mintsOf(emulator)).toBe(1);
    await liveThrough(emulator, clock, 2 * MINUTE);

    expect(mintsOf(emulator)).toBe(2);
  });
});
