import { MINUTE, SECOND } from '../../testbed/durations';
import {
  busy,
  createRefresher,
  outcomeOf,
  refused,
  startRefresher,
} from '../support/refresher';

describe('whoever asks for the state of the credential', () => {
  it('is told that logins are impossible only while minting fails and no token is usable', async () => {
    const { refresher, clock, mint } = createRefresher();
    expect(refresher.stranded).toBe(false);

    mint.failsWith(busy());
    refresher.start();
    await clock.advance(0);
    expect(refresher.stranded).toBe(true);

    mint.givesTokensFor(60 * MINUTE);
    await clock.advance(SECOND);
    expect(refresher.stranded).toBe(false);

    mint.failsWith(busy());
    await clock.advance(58 * MINUTE);
    expect(refresher.stranded).toBe(false);
    await clock.advance(2 * MINUTE);
    expect(refresher.stranded).toBe(true);
  });

  it('is told how long the token in memory lives, or nothing without one', async () => {
    const { refresher, clock, mint } = createRefresher();
    expect(refresher.leftMs).toBeUndefined();

    refresher.start();
    await clock.advance(0);
    mint.failsWith(busy());
    expect(refresher.leftMs).toBe(60 * MINUTE);
    await clock.advance(20 * MINUTE);
    expect(refresher.leftMs).toBe(40 * MINUTE);
    await clock.advance(50 * MINUTE);
    expect(refresher.leftMs).toBe(0);
  });

  it('is told that a refused token has no life left', async () => {
    const { refresher } = await startRefresher();

    refresher.discard('token 1');

    expect(refresher.leftMs).toBe(0);
  });
});

describe('whoever waited in vain', () => {
  it('is told the setting that bounds the wait, and why minting fails', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.failsWith(busy());
    refresher.start();
    await clock.advance(0);
    const giveUp = new AbortController();
    const call = outcomeOf(refresher.token(giveUp.signal));

    giveUp.abort();
    await clock.advance(0);

    expect(call.now).toMatchObject({
      code: 'connect-timeout',
      message: expect.stringMatching(
        /^No usable Lakebase credential could be minted in time \(backend\.database\.lakebase\.connectTimeout\); caused by .*HTTP 503/,
      ) as string,
    });
  });
});

describe('a workspace that answers with a credential of no use', () => {
  it.each([
    ['expired', 0],
    ['of unknown life', NaN],
  ])('%s is said to have done so', async (_, lifeMs) => {
    const { refresher, clock, mint, told } = createRefresher();
    mint.gives(() => ({ token: 'token', lifeMs }));
    refresher.start();
    await clock.advance(0);

    expect(told.onFailed).toHaveBeenCalledTimes(1);
    expect(told.onFailed).toHaveBeenCalledWith({
      durationMs: 0,
      error: expect.objectContaining({
        code: 'workspace-reply-invalid',
        message: 'The Databricks workspace answered with an expired credential',
      }) as Error,
      usableForMs: 0,
    });
  });

  it('the one that was refused is said to have done so', async () => {
    const { refresher, clock, mint, told } = await startRefresher();
    mint.gives(() => ({ token: 'token 1', lifeMs: 60 * MINUTE }));

    refresher.discard('token 1');
    await clock.advance(0);

    expect(told.onFailed).toHaveBeenCalledWith({
      durationMs: 0,
      error: expect.objectContaining({
        code: 'workspace-reply-invalid',
        message:
          'The Databricks workspace answered with the very credential that was refused',
      }) as Error,
      usableForMs: 0,
    });
  });
});

describe('an identity that is refused', () => {
  it('is tried again for somebody who waits, without the pause of minutes', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.failsWith(refused());
    refresher.start();
    await clock.advance(20 * SECOND);
    mint.givesTokensFor(60 * MINUTE);

    await expect(refresher.token()).resolves.toBe('token 2');
  });

  it('is minted for once, however often it is started', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.hangs();

    refresher.start();
    refresher.start();
    await clock.advance(0);

    expect(mint.count).toBe(1);
  });
});
