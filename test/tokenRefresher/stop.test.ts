import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { DAY, HOUR, SECOND } from '../../testbed/durations';
import {
  busy,
  createRefresher,
  outcomeOf,
  refused,
  startRefresher,
} from '../support/refresher';

describe('shutdown', () => {
  it('aborts the mint in flight and fails whoever waits for it', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.hangs();
    refresher.start();
    const calls = Array.from({ length: 50 }, () =>
      outcomeOf(refresher.token()),
    );
    await clock.advance(SECOND);
    expect(mint.signal?.aborted).toBe(false);

    refresher.stop();
    await clock.advance(0);
    expect(mint.signal?.aborted).toBe(true);
    for (const call of calls) {
      expect(call.now).toMatchObject({ code: 'stopped' });
    }
  });

  it('fails whoever waits between two attempts', async () => {
    const { refresher, clock, mint } = createRefresher();
    mint.failsWith(busy());
    refresher.start();
    const call = outcomeOf(refresher.token());
    await clock.advance(20 * SECOND);
    refresher.stop();
    await clock.advance(0);
    expect(call.now).toMatchObject({ code: 'stopped' });
  });

  it.each([
    ['minting works', undefined],
    ['the workspace is down', busy()],
    ['the identity is refused', refused()],
  ])('leaves no timer behind while %s', async (_, error) => {
    const { refresher, clock, mint } = await startRefresher();
    if (error) mint.failsWith(error);
    await clock.advance(HOUR / 2);
    expect(clock.timers).toBe(1);
    const { count } = mint;

    refresher.stop();
    expect(clock.timers).toBe(0);
    await clock.advance(DAY);
    expect(mint.count).toBe(count);
  });

  it.each(['give', 'fail'] as const)(
    'ignores a mint that does not heed the signal (%s)',
    async outcome => {
      const { refresher, clock, mint, told } = createRefresher();
      const first = mint.hangs();
      refresher.start();
      await clock.advance(0);
      refresher.stop();
      if (outcome === 'give') first.give({ token: 'late', lifeMs: HOUR });
      else first.fail(new Error('aborted'));
      await clock.advance(HOUR);

      await expect(refresher.token()).rejects.toThrow('shutting down');
      expect(clock.timers).toBe(0);
      expect(told.onMinted).not.toHaveBeenCalled();
      expect(told.onFailed).not.toHaveBeenCalled();
    },
  );

  it('before the start leaves nothing to start', async () => {
    const { refresher, clock, mint } = createRefresher();
    refresher.stop();
    refresher.start();
    await clock.advance(HOUR);
    expect(mint.count).toBe(0);
    expect(clock.timers).toBe(0);
  });

  it('takes the token out of memory, and later calls mint nothing', async () => {
    const { refresher, clock, mint } = await startRefresher();
    refresher.confirm('token 1', 'backstage');
    refresher.stop();
    refresher.stop();
    refresher.start();
    refresher.confirm('token 1', 'backstage');
    refresher.reject('token 1', 'backstage');
    refresher.discard('token 1');
    await clock.advance(DAY);

    await expect(refresher.token()).rejects.toMatchObject({ code: 'stopped' });
    await expect(refresher.token()).rejects.toThrow('shutting down');
    expect(refresher.usable).toBe(false);
    expect(mint.count).toBe(1);
    expect(clock.timers).toBe(0);
  });

  it.each(['works', 'fails'])(
    'is not needed for the process to end when minting %s',
    async minting => {
      const script = join(__dirname, '..', 'support', 'startedRefresher.ts');
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', script, minting],
        { stdio: ['ignore', 'pipe', 'inherit'], timeout: 20 * SECOND },
      );
      let output = '';
      child.stdout.on('data', chunk => (output += String(chunk)));
      const [code, signal] = (await once(child, 'close')) as unknown[];
      expect({ output, code, signal }).toEqual({
        output: `minting ${minting}\n`,
        code: 0,
        signal: null,
      });
    },
  );
});
