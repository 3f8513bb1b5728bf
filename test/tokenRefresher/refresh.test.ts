import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DAY, HOUR, MINUTE, SECOND } from '../../testbed/durations';
import {
  ALMOST_ONE,
  createRefresher,
  outcomeOf,
  startRefresher,
} from '../support/refresher';

describe('minting', () => {
  it('happens once for a hundred connections that open together', async () => {
    const { refresher, mint } = createRefresher();
    refresher.start();
    const calls = Array.from({ length: 100 }, () => refresher.token());

    expect(new Set(await Promise.all(calls))).toEqual(new Set(['token 1']));
    expect(mint.count).toBe(1);
  });

  it('starts ahead of the first connection', async () => {
    const { refresher, clock, mint } = createRefresher();
    refresher.start();
    refresher.start();
    await clock.advance(0);

    expect(mint.count).toBe(1);
    expect(refresher.usable).toBe(true);
    await expect(refresher.token()).resolves.toBe('token 1');
  });

  it('goes on ahead of the expiry of a token from before the start', async () => {
    const { refresher, clock, mint } = createRefresher();
    await refresher.token();
    refresher.start();
    expect(mint.count).toBe(1);
    await clock.advance(HOUR / 2);
    expect(mint.count).toBe(2);
  });

  it('happens once an hour or less for a thousand connections', async () => {
    const { refresher, clock, mint } = await startRefresher();
    for (let i = 0; i < 1_000; i++) {
      await clock.advance(SECOND);
      await refresher.token();
    }
    expect(mint.count).toBe(1);
  });

  it('is reported with the life of the token and the time of its renewal', async () => {
    const { told } = await startRefresher({ random: () => 0.5 });

    expect(told.onMinted.mock.calls).toEqual([
      [{ durationMs: 0, lifeMs: HOUR, refreshInMs: 25 * MINUTE }],
    ]);
    expect(told.onFailed).not.toHaveBeenCalled();
  });
});

describe('renewal', () => {
  it.each([
    [20, 0],
    [22.5, 0.25],
    [25, 0.5],
    [27.5, 0.75],
    [30, ALMOST_ONE],
  ])(
    'of an hour-long token is due after %d min when %d is drawn',
    async (minutes, drawn) => {
      const { clock, mint } = await startRefresher({ random: () => drawn });

      await clock.advance(minutes * MINUTE - 5);
      expect(mint.count).toBe(1);
      await clock.advance(10);
      expect(mint.count).toBe(2);
    },
  );

  it('goes on for a day, once per point drawn', async () => {
    const { clock, mint } = await startRefresher({ random: () => 0.5 });
    await clock.advance(DAY);

    expect(mint.seconds.slice(0, 4)).toEqual([0, 1500, 3000, 4500]);
    expect(mint.count).toBe(1 + Math.floor(DAY / (25 * MINUTE)));
  });

  it('is spread over a tenth of the life when 20 replicas start together', async () => {
    const random = seededRandom(20);
    const due: number[] = [];
    for (let replica = 0; replica < 20; replica++) {
      const { clock, mint } = await startRefresher({ random });
      await clock.advance(30 * MINUTE);
      due.push(mint.times[1]);
    }
    expect(new Set(due).size).toBe(20);
    expect(Math.max(...due) - Math.min(...due)).toBeGreaterThan(6 * MINUTE);
  });

  it('keeps nobody waiting: the current token is handed out meanwhile', async () => {
    const { refresher, clock, mint } = await startRefresher();
    const second = mint.hangs();
    await clock.advance(30 * MINUTE);
    expect(mint.count).toBe(2);

    await expect(refresher.token()).resolves.toBe('token 1');
    second.give({ token: 'token 2', lifeMs: HOUR });
    await clock.advance(0);
    await expect(refresher.token()).resolves.toBe('token 2');
  });

  it('of a token that lives 30 s happens at most once per half life', async () => {
    const lifeMs = 30 * SECOND;
    const { refresher, clock, mint } = await startRefresher({
      lifeMs,
      random: () => 0,
    });
    for (let second = 0; second < 600; second++) {
      await clock.advance(SECOND);
      await refresher.token();
    }
    const gaps = mint.times.slice(1).map((time, i) => time - mint.times[i]);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(15 * SECOND);
    expect(mint.count).toBe(41);
  });

  it('of a token that lives 2 min waits for 40 s', async () => {
    const { clock, mint } = await startRefresher({
      lifeMs: 2 * MINUTE,
      random: () => 0,
    });
    await clock.advance(2 * MINUTE);
    expect(mint.seconds).toEqual([0, 40, 80, 120]);
  });

  it('that brings the same token again is repeated after 30 s at the soonest', async () => {
    const { refresher, clock, mint } = createRefresher({ random: () => 0 });
    mint.gives(() => ({
      token: 'the same',
      lifeMs: 90 * SECOND - clock.monotonic(),
    }));
    refresher.start();
    await clock.advance(89 * SECOND);
    // A third one at 75 s would be due by the rule for new tokens.
    expect(mint.seconds).toEqual([0, 30, 60]);
  });

  it('of a token that lives 60 days neither comes at once nor is forgotten', async () => {
    const { refresher, clock, mint } = createRefresher({
      lifeMs: 60 * DAY,
      random: () => 0.9,
    });
    clock.longestTimerMs = 2 ** 31 - 1;
    refresher.start();
    await clock.advance(29 * DAY - 1);
    expect(mint.count).toBe(1);

    await clock.advance(SECOND);
    expect(mint.count).toBe(2);
  });
});

describe('a token in memory', () => {
  it.each([
    ['an hour', HOUR, HOUR - 40 * SECOND],
    ['5 min', 5 * MINUTE, 5 * MINUTE - 40 * SECOND],
    ['2 min', 2 * MINUTE, 96 * SECOND],
    ['30 s', 30 * SECOND, 24 * SECOND],
  ])(
    'that lives %s is handed out until there is too little left for a login',
    async (_, lifeMs, usableForMs) => {
      const { refresher, clock, mint } = await startRefresher({ lifeMs });
      mint.hangs();

      await clock.advance(usableForMs - 1);
      expect(refresher.usable).toBe(true);
      await expect(refresher.token()).resolves.toBe('token 1');

      await clock.advance(1);
      expect(refresher.usable).toBe(false);
      const call = outcomeOf(refresher.token(AbortSignal.abort()));
      await clock.advance(0);
      expect(call.now).toMatchObject({ code: 'connect-timeout' });
    },
  );

  it('counts its life from the moment it was asked for', async () => {
    const { refresher, clock, mint } = createRefresher();
    const first = mint.hangs();
    refresher.start();
    await clock.advance(9 * SECOND);
    first.give({ token: 'slow', lifeMs: HOUR });
    await clock.advance(0);
    mint.hangs();

    await clock.advance(HOUR - 49 * SECOND - 1);
    expect(refresher.usable).toBe(true);
    await clock.advance(1);
    expect(refresher.usable).toBe(false);
    expect(mint.seconds).toEqual([0, 1500]);
  });

  it.each([
    ['no life', 0],
    ['a negative life', -HOUR],
    ['an unknown life', NaN],
  ])('is not replaced by one with %s', async (_, lifeMs) => {
    const { refresher, clock, mint, told } = await startRefresher();
    mint.gives(() => ({ token: 'dead', lifeMs }));
    await clock.advance(26 * MINUTE);

    expect(refresher.usable).toBe(true);
    await expect(refresher.token()).resolves.toBe('token 1');
    expect(told.onFailed.mock.calls[0]).toMatchObject([
      { error: { code: 'workspace-reply-invalid' } },
    ]);
  });

  it('is not replaced by one that expired on the way', async () => {
    const { refresher, clock, mint } = await startRefresher();
    const second = mint.hangs();
    await clock.advance(30 * MINUTE);
    await clock.advance(50 * SECOND);
    second.give({ token: 'late', lifeMs: MINUTE });
    await clock.advance(0);

    await expect(refresher.token()).resolves.toBe('token 1');
  });

  it('is let go when it has been replaced', async () => {
    const { refresher, clock, mint } = createRefresher();
    const size = 1_000_000;
    mint.gives(() => ({
      token: Buffer.alloc(size, `${mint.count} `).toString('latin1'),
      lifeMs: HOUR,
    }));
    refresher.start();
    await clock.advance(0);

    const before = heapUsed();
    await clock.advance(DAY);
    expect(mint.count).toBeGreaterThan(40);
    expect(heapUsed() - before).toBeLessThan(5 * size);
  });
});

/** The same draws in each run (Park and Miller's generator). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
