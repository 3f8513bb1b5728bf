import { systemClock } from '../../src/time/clock';
import { DAY, HOUR, MINUTE, SECOND } from '../../testbed/durations';
import {
  busy,
  createRefresher,
  outcomeOf,
  startRefresher,
} from '../support/refresher';

describe('a wrong clock', () => {
  it.each([
    ['2 h slow', -2 * HOUR],
    ['right', 0],
    ['2 h fast', 2 * HOUR],
    ['years slow', -10_000 * DAY],
  ])('that is %s changes nothing', async (_, byMs) => {
    const { refresher, clock, mint } = createRefresher();
    clock.setWall({ byMs });
    refresher.start();
    await clock.advance(0);
    await clock.advance(HOUR);
    expect(mint.seconds).toEqual([0, 1500, 3000]);
    await expect(refresher.token()).resolves.toBe('token 3');
  });
});

describe('a clock that is set', () => {
  it('back does not keep an expired token alive', async () => {
    const { refresher, clock, mint } = await startRefresher();
    mint.hangs();
    await clock.advance(30 * MINUTE);
    clock.setWall({ byMs: -2 * HOUR });
    await clock.advance(HOUR);
    expect(refresher.usable).toBe(false);
    const call = outcomeOf(refresher.token());
    await clock.advance(0);
    expect(call.now).toBe('pending');
  });

  it('back does not delay the renewal', async () => {
    const { clock, mint } = await startRefresher();
    clock.setWall({ byMs: -2 * HOUR });
    await clock.advance(HOUR);
    expect(mint.seconds).toEqual([0, 1500, 3000]);
  });

  it('forward costs one mint, and none when it is set right again', async () => {
    const { refresher, clock, mint } = await startRefresher();
    clock.setWall({ byMs: 2 * HOUR });
    const calls = Array.from({ length: 50 }, () => refresher.token());
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['token 2']));

    clock.setWall({ byMs: -2 * HOUR });
    await clock.advance(20 * MINUTE);
    await expect(refresher.token()).resolves.toBe('token 2');
    expect(mint.count).toBe(2);
  });

  it('back does not prolong a shared refusal', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.failsWith(new Error('refused'));
    refresher.start();
    await clock.advance(0);
    clock.setWall({ byMs: -2 * HOUR });
    await clock.advance(15 * SECOND);
    mint.givesTokensFor(HOUR);
    await expect(refresher.token()).resolves.toBe('token 2');
  });
});

describe('after a sleep', () => {
  it('past the expiry, the first connections share one mint', async () => {
    const { refresher, clock, mint } = await startRefresher();
    clock.sleep(8 * HOUR);
    const calls = Array.from({ length: 50 }, () => refresher.token());
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['token 2']));
    expect(mint.count).toBe(2);

    // The timer that slept along was for the token that is gone.
    await clock.advance(24 * MINUTE);
    expect(mint.count).toBe(2);
  });

  it('past the expiry, nobody gets the old token even when the mint fails', async () => {
    const { refresher, clock, mint } = await startRefresher();
    clock.sleep(8 * HOUR);
    mint.failsWith(new Error('refused'));
    await expect(refresher.token()).rejects.toThrow('refused');
    expect(refresher.usable).toBe(false);
  });

  it('into the time of renewal, nobody waits and one mint follows', async () => {
    const { refresher, clock, mint } = await startRefresher();
    const second = mint.hangs();
    clock.sleep(40 * MINUTE);
    for (let i = 0; i < 50; i++) {
      await expect(refresher.token()).resolves.toBe('token 1');
    }
    expect(mint.count).toBe(2);

    second.give({ token: 'token 2', lifeMs: HOUR });
    await clock.advance(0);
    await expect(refresher.token()).resolves.toBe('token 2');
  });

  it('in an outage, the first connection need not sit out the pause', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.failsWith(busy(5 * MINUTE));
    refresher.start();
    await clock.advance(SECOND);
    clock.sleep(HOUR);
    mint.givesTokensFor(HOUR);
    await expect(refresher.token()).resolves.toBe('token 2');
  });

  it('the renewal comes by itself, without any connection', async () => {
    const { refresher, clock, mint } = await startRefresher();
    clock.sleep(20 * MINUTE);
    await clock.advance(25 * MINUTE);
    expect(mint.count).toBe(2);
    await expect(refresher.token()).resolves.toBe('token 2');
  });
});

describe('a busy event loop', () => {
  it('that delays the renewal is noticed by the next connection, which does not wait', async () => {
    const { refresher, clock, mint } = await startRefresher();
    clock.block(26 * MINUTE);
    mint.hangs();
    await expect(refresher.token()).resolves.toBe('token 1');
    expect(mint.count).toBe(2);
    await expect(refresher.token()).resolves.toBe('token 1');

    // The late timer finds the work done.
    await clock.advance(0);
    expect(mint.count).toBe(2);
  });
});

describe('the system clock', () => {
  it('does not fire a timer of 60 days at once', async () => {
    const callback = jest.fn();
    const cancel = systemClock.schedule(callback, 60 * DAY);
    await new Promise(resolve => setTimeout(resolve, 20));
    cancel();
    expect(callback).not.toHaveBeenCalled();
  });

  it('cancels a timer', async () => {
    const callback = jest.fn();
    systemClock.schedule(callback, 1)();
    await new Promise(resolve => setTimeout(resolve, 20));
    expect(callback).not.toHaveBeenCalled();
  });

  it('tells the time in milliseconds', () => {
    expect(systemClock.wall()).toBeCloseTo(Date.now(), -2);
    expect(systemClock.monotonic()).toBeGreaterThan(0);
    expect(systemClock.random()).not.toBe(systemClock.random());
  });
});
