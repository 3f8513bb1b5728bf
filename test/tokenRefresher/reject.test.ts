import { HOUR, MINUTE, SECOND } from '../../testbed/durations';
import {
  ALMOST_ONE,
  createRefresher,
  outcomeOf,
  startRefresher,
} from '../support/refresher';

const USER = 'backstage';

/** A refresher whose first token has let the user in. */
async function startConfirmed(options?: Parameters<typeof startRefresher>[0]) {
  const parts = await startRefresher(options);
  parts.refresher.confirm('token 1', USER);
  return parts;
}

describe('a token that the server refuses', () => {
  it('is replaced by one mint, however many connections complain', async () => {
    const { refresher, mint } = await startConfirmed();
    const logins = Array.from({ length: 50 }, () => {
      expect(refresher.reject('token 1', USER)).toBe(true);
      return refresher.token();
    });
    expect(new Set(await Promise.all(logins))).toEqual(new Set(['token 2']));

    // Whoever was slow to hear of it complains about a token long replaced.
    expect(refresher.reject('token 1', USER)).toBe(true);
    await expect(refresher.token()).resolves.toBe('token 2');
    expect(mint.count).toBe(2);
  });

  it('is not handed out again while its replacement is on the way', async () => {
    const { refresher, clock, mint } = await startConfirmed();
    const second = mint.hangs();
    refresher.reject('token 1', USER);
    const call = outcomeOf(refresher.token());
    await clock.advance(SECOND);
    expect(refresher.usable).toBe(false);
    expect(call.now).toBe('pending');

    second.give({ token: 'token 2', lifeMs: HOUR });
    await clock.advance(0);
    expect(call.now).toBe('token 2');
  });

  it('is replaced without waiting for the next connection', async () => {
    const { refresher, clock, mint } = await startConfirmed();
    refresher.reject('token 1', USER);
    await clock.advance(0);
    expect(mint.count).toBe(2);
    await expect(refresher.token()).resolves.toBe('token 2');
  });

  it('joins the renewal that is already on the way', async () => {
    const { refresher, clock, mint } = await startConfirmed();
    const second = mint.hangs();
    await clock.advance(30 * MINUTE);
    refresher.reject('token 1', USER);
    const call = outcomeOf(refresher.token());
    second.give({ token: 'token 2', lifeMs: HOUR });
    await clock.advance(0);
    expect(call.now).toBe('token 2');
    expect(mint.count).toBe(2);
  });

  it('is not handed out when the workspace gives it again', async () => {
    const { refresher, clock, mint, told } = await startConfirmed({
      random: () => ALMOST_ONE,
    });
    mint.gives(() => ({ token: 'token 1', lifeMs: HOUR }));
    refresher.reject('token 1', USER);
    const call = outcomeOf(refresher.token());
    await clock.advance(2 * SECOND);
    expect(call.now).toBe('pending');
    expect(refresher.usable).toBe(false);
    expect(told.onFailed.mock.calls[0]).toMatchObject([
      { error: { code: 'workspace-reply-invalid' }, usableForMs: 0 },
    ]);

    mint.givesTokensFor(HOUR);
    await clock.advance(SECOND);
    expect(call.now).toBe('token 4');
    expect(told.onMinted).toHaveBeenCalledTimes(2);
  });

  it('is renewed by the next call when nothing is started', async () => {
    const { refresher, clock, mint } = createRefresher();
    await refresher.token();
    refresher.discard('token 1');
    await clock.advance(HOUR / 2);
    expect(mint.count).toBe(1);
    await expect(refresher.token()).resolves.toBe('token 2');
  });
});

describe('a refusal that is the fault of the identity', () => {
  it('mints nothing: the token is fresh and never let this user in', async () => {
    const { refresher, clock, mint } = await startRefresher();
    for (let second = 0; second < 29; second++) {
      expect(refresher.reject('token 1', USER)).toBe(false);
      await clock.advance(SECOND);
    }
    await expect(refresher.token()).resolves.toBe('token 1');
    expect(mint.count).toBe(1);
  });

  it('is not excused by logins of another user', async () => {
    const { refresher, mint } = await startConfirmed();
    expect(refresher.reject('token 1', 'somebody else')).toBe(false);
    await expect(refresher.token()).resolves.toBe('token 1');
    expect(mint.count).toBe(1);
  });

  it('is not excused by logins with an earlier token', async () => {
    const { refresher, clock, mint } = await startConfirmed();
    refresher.reject('token 1', USER);
    await clock.advance(0);
    expect(refresher.reject('token 2', USER)).toBe(false);
    expect(mint.count).toBe(2);
  });

  it('mints once per 30 s at most, however often it is tried', async () => {
    const { refresher, clock, mint } = await startRefresher();
    for (let i = 0; i < 600; i++) {
      refresher.reject(await refresher.token(), USER);
      await clock.advance(0.5 * SECOND);
    }
    expect(mint.seconds.slice(0, 4)).toEqual([0, 30, 60, 90]);
    expect(mint.count).toBe(10);
  });
});

describe('a refusal is news', () => {
  it('when the token is older than 30 s', async () => {
    const { refresher, clock } = await startRefresher();
    await clock.advance(30 * SECOND - 1);
    expect(refresher.reject('token 1', USER)).toBe(false);
    await clock.advance(1);
    expect(refresher.reject('token 1', USER)).toBe(true);
    await expect(refresher.token()).resolves.toBe('token 2');
  });

  it('when a short-lived token is older than half its life', async () => {
    const { refresher, clock, mint } = await startRefresher({
      lifeMs: 20 * SECOND,
    });
    mint.hangs();
    await clock.advance(10 * SECOND - 1);
    expect(refresher.reject('token 1', USER)).toBe(false);
    await clock.advance(1);
    expect(refresher.reject('token 1', USER)).toBe(true);
    expect(refresher.usable).toBe(false);
  });

  it('when the user has logged in with a token that the workspace repeats', async () => {
    const { refresher, clock, mint } = await startConfirmed();
    mint.gives(() => ({ token: 'token 1', lifeMs: HOUR }));
    await clock.advance(25 * MINUTE + SECOND);
    expect(mint.count).toBe(2);

    expect(refresher.reject('token 1', USER)).toBe(true);
    expect(refresher.usable).toBe(false);
  });

  it('but not for a login that is confirmed too late', async () => {
    const { refresher, clock, mint } = await startRefresher();
    await clock.advance(25 * MINUTE + SECOND);
    refresher.confirm('token 1', USER);
    expect(refresher.reject('token 2', USER)).toBe(false);
    expect(mint.count).toBe(2);
  });
});
