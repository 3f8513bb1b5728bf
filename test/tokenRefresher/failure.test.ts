import { HOUR, MINUTE, SECOND } from '../../testbed/durations';
import {
  ALMOST_ONE,
  busy,
  createRefresher,
  outcomeOf,
  refused,
  startRefresher,
} from '../support/refresher';

/** A refresher whose mint has been failing since `start()`. */
function startFailing(
  options: { error?: unknown; random?: () => number } = {},
) {
  const parts = createRefresher({ random: options.random });
  parts.mint.failsWith(options.error ?? busy());
  parts.refresher.start();
  return parts;
}

describe('while the workspace is down', () => {
  it('connections open with the current token until it is too old for a login', async () => {
    const { refresher, clock, mint } = await startRefresher();
    mint.failsWith(busy());

    for (let minute = 1; minute < 60; minute++) {
      await clock.advance(MINUTE);
      await expect(refresher.token()).resolves.toBe('token 1');
    }
    expect(mint.count).toBeGreaterThan(30);
  });

  it('nobody waits for a hanging mint as long as a token is usable', async () => {
    const { refresher, clock, mint } = await startRefresher();
    mint.hangs();
    await clock.advance(30 * MINUTE);

    const calls = Array.from({ length: 100 }, () =>
      outcomeOf(refresher.token()),
    );
    await clock.advance(0);
    expect(new Set(calls.map(call => call.now))).toEqual(new Set(['token 1']));
    expect(mint.count).toBe(2);
  });

  it('a connection without a token waits, and opens once minting works again', async () => {
    const { refresher, clock, mint } = startFailing();
    const call = outcomeOf(refresher.token());
    await clock.advance(20 * SECOND);
    expect(call.now).toBe('pending');

    mint.givesTokensFor(HOUR);
    await clock.advance(5 * SECOND);
    expect(call.now).toBe(`token ${mint.count}`);
  });

  it.each([
    ['almost 1', ALMOST_ONE, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]],
    ['0.5', 0.5, [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5, 91.5, 121.5]],
    ['0.1', 0.1, [0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 12.3, 18.3, 24.3]],
  ])(
    'attempts back off to a minute, times the draw of %s',
    async (_, drawn, seconds) => {
      const { clock, mint } = startFailing({ random: () => drawn });
      await clock.advance(5 * MINUTE);
      expect(mint.seconds.slice(0, 10)).toEqual(seconds);
    },
  );

  it('each pause is drawn anew', async () => {
    const draws = [0.9, 0.2, 0.6];
    const { clock, mint } = startFailing({ random: () => draws.shift() ?? 1 });
    await clock.advance(5 * SECOND);
    expect(mint.seconds).toEqual([0, 0.9, 1.3, 3.7]);
  });

  it('a success starts the pauses over', async () => {
    const { clock, mint } = startFailing({ random: () => ALMOST_ONE });
    await clock.advance(20 * SECOND);
    mint.givesTokensFor(HOUR);
    await clock.advance(11 * SECOND + 1);
    mint.failsWith(busy());
    await clock.advance(30 * MINUTE + 10 * SECOND);

    const renewal = 31 + 30 * 60;
    expect(mint.seconds).toEqual([
      ...[0, 1, 3, 7, 15, 31],
      ...[0, 1, 3, 7].map(pause => renewal + pause),
    ]);
  });
});

it('a refusal in the middle of an outage starts the pauses over', async () => {
  const { clock, mint } = startFailing({ random: () => ALMOST_ONE });
  await clock.advance(20 * SECOND);
  mint.failsWith(refused());
  await clock.advance(20 * SECOND);
  mint.failsWith(busy());
  await clock.advance(5 * MINUTE);
  expect(mint.seconds.slice(5)).toEqual([31, 331, 332, 334, 338]);
});

describe('connections that wait for a token', () => {
  const random = () => ALMOST_ONE;

  it('keep the pauses at 5 s', async () => {
    const { refresher, clock, mint } = startFailing({ random });
    outcomeOf(refresher.token());
    await clock.advance(30 * SECOND);
    expect(mint.seconds).toEqual([0, 1, 3, 7, 12, 17, 22, 27]);
  });

  it('bring an attempt that is far off forward', async () => {
    const { refresher, clock, mint } = startFailing({ random });
    await clock.advance(70 * SECOND);
    expect(mint.seconds.at(-1)).toBe(63);

    outcomeOf(refresher.token());
    await clock.advance(6 * SECOND);
    expect(mint.seconds.slice(-2)).toEqual([63, 75]);
  });

  it('leave alone an attempt that is near', async () => {
    const { refresher, clock, mint } = startFailing({ random });
    await clock.advance(120 * SECOND);
    outcomeOf(refresher.token());
    await clock.advance(4 * SECOND);
    expect(mint.seconds.slice(-2)).toEqual([63, 123]);
  });

  it('do not multiply the attempts, however many they are', async () => {
    const { refresher, clock, mint } = startFailing({ random });
    for (let i = 0; i < 300; i++) {
      outcomeOf(refresher.token());
      await clock.advance(0.1 * SECOND);
    }
    expect(mint.seconds).toEqual([0, 1, 3, 7, 12, 17, 22, 27]);
  });

  it('no longer hurry the attempts when they have given up', async () => {
    const { refresher, clock, mint } = startFailing({ random });
    const deadline = new AbortController();
    outcomeOf(refresher.token(deadline.signal));
    await clock.advance(13 * SECOND);
    deadline.abort();
    await clock.advance(5 * MINUTE);
    expect(mint.seconds).toEqual([0, 1, 3, 7, 12, 17, 49, 109, 169, 229, 289]);
  });

  it('fail at their deadline with the cause of the delay', async () => {
    const error = busy();
    const { refresher, clock, mint } = startFailing({ error });
    const deadline = new AbortController();
    const call = outcomeOf(refresher.token(deadline.signal));
    await clock.advance(60 * SECOND);
    deadline.abort();
    await clock.advance(0);

    expect(call.now).toMatchObject({
      name: 'LakebaseError',
      code: 'connect-timeout',
      cause: error,
    });
    // Whoever comes with more patience still gets a token.
    mint.givesTokensFor(HOUR);
    const patient = outcomeOf(refresher.token());
    await clock.advance(5 * SECOND);
    expect(patient.now).toMatch(/^token/);
  });

  it('do not take a hanging mint down with them', async () => {
    const { refresher, clock, mint } = createRefresher();
    const first = mint.hangs();
    refresher.start();
    const deadline = new AbortController();
    const hasty = outcomeOf(refresher.token(deadline.signal));
    const patient = outcomeOf(refresher.token());
    await clock.advance(SECOND);
    deadline.abort();
    await clock.advance(0);
    expect(hasty.now).toMatchObject({ code: 'connect-timeout' });
    expect(mint.signal?.aborted).toBe(false);

    first.give({ token: 'slow', lifeMs: HOUR });
    await clock.advance(0);
    expect(patient.now).toBe('slow');
    expect(mint.count).toBe(1);
  });

  it('whose deadline has passed ask for nothing', async () => {
    const { refresher, mint } = createRefresher();
    await expect(refresher.token(AbortSignal.abort())).rejects.toMatchObject({
      code: 'connect-timeout',
    });
    expect(mint.count).toBe(0);
  });
});

describe('Retry-After', () => {
  const random = () => 0;

  it('puts the next attempt off', async () => {
    const error = busy(90 * SECOND);
    const { clock, mint } = startFailing({ error, random });
    await clock.advance(200 * SECOND);
    expect(mint.seconds).toEqual([0, 90, 180]);
  });

  it('is not cut short by a second start', async () => {
    const error = busy(90 * SECOND);
    const { refresher, clock, mint } = startFailing({ error, random });
    await clock.advance(SECOND);
    refresher.start();
    await clock.advance(SECOND);
    expect(mint.count).toBe(1);
  });

  it('comes on top of the pauses, which still grow', async () => {
    const error = busy(2 * SECOND);
    const { clock, mint } = startFailing({ error, random: () => ALMOST_ONE });
    await clock.advance(20 * SECOND);
    expect(mint.seconds).toEqual([0, 3, 7, 13]);
  });

  it('is spread over half as long again, for all replicas are told the same', async () => {
    const error = busy(90 * SECOND);
    const { clock, mint } = startFailing({ error, random: () => ALMOST_ONE });
    await clock.advance(200 * SECOND);
    expect(mint.seconds).toEqual([0, 120]);
  });

  it('is kept by connections that wait', async () => {
    const error = busy(30 * SECOND);
    const { refresher, clock, mint } = startFailing({ error, random });
    const early = outcomeOf(refresher.token());
    await clock.advance(20 * SECOND);
    const late = outcomeOf(refresher.token());
    mint.givesTokensFor(HOUR);
    await clock.advance(10 * SECOND - 1);
    expect(mint.seconds).toEqual([0]);

    await clock.advance(1);
    expect(mint.seconds).toEqual([0, 30]);
    expect([early.now, late.now]).toEqual(['token 2', 'token 2']);
  });

  it('is kept when the server refuses the current token meanwhile', async () => {
    const { refresher, clock, mint } = await startRefresher({
      random: () => ALMOST_ONE,
    });
    clock.random = random;
    refresher.confirm('token 1', 'backstage');
    mint.failsWith(busy(90 * SECOND));
    await clock.advance(30 * MINUTE);
    expect(mint.seconds).toEqual([0, 1800]);

    mint.givesTokensFor(HOUR);
    expect(refresher.reject('token 1', 'backstage')).toBe(true);
    const call = outcomeOf(refresher.token());
    await clock.advance(89 * SECOND);
    expect(mint.seconds).toEqual([0, 1800]);
    await clock.advance(SECOND);
    expect(call.now).toBe('token 3');
  });
});

describe('not started', () => {
  it('each call makes one attempt, whose failure is its own', async () => {
    const { refresher, clock, mint } = createRefresher();
    const error = busy();
    mint.failsWith(error);
    for (let attempts = 1; attempts <= 3; attempts++) {
      await expect(refresher.token()).rejects.toBe(error);
      expect(mint.count).toBe(attempts);
    }
    await clock.advance(HOUR);
    expect(mint.count).toBe(3);
    expect(clock.timers).toBe(0);
  });

  it('calls at the same time share the attempt and its failure', async () => {
    const { refresher, clock, mint } = createRefresher();
    const error = busy();
    mint.failsWith(error);
    const calls = Array.from({ length: 10 }, () =>
      outcomeOf(refresher.token()),
    );
    await clock.advance(0);
    expect(new Set(calls.map(call => call.now))).toEqual(new Set([error]));
    expect(mint.count).toBe(1);
  });

  it('a token is kept, renewed by the call that finds it due, and not before', async () => {
    const { refresher, clock, mint } = createRefresher();
    await expect(refresher.token()).resolves.toBe('token 1');
    await clock.advance(30 * MINUTE);
    expect(mint.count).toBe(1);

    await expect(refresher.token()).resolves.toBe('token 1');
    await expect(refresher.token()).resolves.toBe('token 2');
    expect(mint.count).toBe(2);
  });
});
