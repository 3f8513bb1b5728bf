import { LakebaseError, type LakebaseErrorCode } from '../../src/errors';
import { HOUR, MINUTE, SECOND } from '../../testbed/durations';
import {
  ALMOST_ONE,
  createRefresher,
  outcomeOf,
  refused,
  startRefresher,
} from '../support/refresher';

describe('an identity that the workspace refuses', () => {
  it('fails waiting connections at once, with the refusal itself', async () => {
    const { refresher, clock, mint } = createRefresher();
    const error = refused();
    const first = mint.hangs();
    refresher.start();
    const calls = Array.from({ length: 100 }, () =>
      outcomeOf(refresher.token()),
    );
    await clock.advance(SECOND);
    first.fail(error);
    await clock.advance(0);

    expect(new Set(calls.map(call => call.now))).toEqual(new Set([error]));
    expect(mint.count).toBe(1);
  });

  it.each<LakebaseErrorCode>([
    'client-refused',
    'access-token-refused',
    'permission-denied',
    'endpoint-not-found',
    'request-invalid',
    'workspace-untrusted',
    'workspace-redirected',
  ])('need not wait to hear of %s', async code => {
    const { refresher, mint } = createRefresher();
    mint.failsWith(new LakebaseError(code, { problem: 'no' }));
    refresher.start();
    await expect(refresher.token()).rejects.toMatchObject({ code });
  });

  it('counts as refused when the error is an unknown one', async () => {
    const { refresher, mint } = createRefresher();
    mint.failsWith(new TypeError('a bug'));
    refresher.start();
    await expect(refresher.token()).rejects.toThrow('a bug');
  });

  it('is not asked for again by calls within 15 s', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.failsWith(refused());
    refresher.start();
    for (let i = 0; i < 149; i++) {
      await clock.advance(0.1 * SECOND);
      await expect(refresher.token()).rejects.toMatchObject({
        code: 'client-refused',
      });
    }
    expect(mint.count).toBe(1);
  });

  it('is tried once more by all calls after 15 s, and again 15 s later', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.failsWith(refused());
    refresher.start();
    for (const attempts of [2, 3]) {
      await clock.advance(15 * SECOND);
      const calls = Array.from({ length: 100 }, () =>
        outcomeOf(refresher.token()),
      );
      await clock.advance(SECOND);
      expect(calls[99].now).toMatchObject({ code: 'client-refused' });
      expect(mint.count).toBe(attempts);
    }
  });

  it('heals for the first call after 15 s', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.failsWith(refused());
    refresher.start();
    await clock.advance(15 * SECOND);
    mint.givesTokensFor(HOUR);
    await expect(refresher.token()).resolves.toBe('token 2');
  });

  it.each([
    ['2.5', 0, [0, 150, 300, 450]],
    ['3.75', 0.5, [0, 225, 450]],
    ['5', ALMOST_ONE, [0, 300]],
  ])(
    'is tried in the background every %s min when %d is drawn',
    async (_, drawn, seconds) => {
      const { refresher, clock, mint } = createRefresher({
        random: () => drawn,
      });
      mint.failsWith(refused());
      refresher.start();
      await clock.advance(9 * MINUTE);
      expect(mint.seconds).toEqual(seconds);
    },
  );

  it('does not take a usable token away', async () => {
    const { refresher, clock, mint } = await startRefresher();
    mint.failsWith(refused());
    await clock.advance(59 * MINUTE);
    await expect(refresher.token()).resolves.toBe('token 1');
    expect(mint.seconds.slice(0, 3)).toEqual([0, 1500, 1725]);
  });

  it('is not tried sooner when the server refuses the current token', async () => {
    const { refresher, clock, mint } = await startRefresher();
    refresher.confirm('token 1', 'backstage');
    mint.failsWith(refused());
    await clock.advance(25 * MINUTE + SECOND);
    expect(mint.count).toBe(2);

    expect(refresher.reject('token 1', 'backstage')).toBe(true);
    await expect(refresher.token()).rejects.toMatchObject({
      code: 'client-refused',
    });
    expect(mint.count).toBe(2);
  });

  it('stays refused for calls that share it when nothing is started', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.failsWith(refused());
    for (const [seconds, attempts] of [
      [0, 1],
      [14.9, 1],
      [0.1, 2],
    ]) {
      await clock.advance(seconds * SECOND);
      await expect(refresher.token()).rejects.toMatchObject({
        code: 'client-refused',
      });
      expect(mint.count).toBe(attempts);
    }
  });
});
