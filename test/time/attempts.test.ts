import { once } from 'node:events';
import { Attempts } from '../../src/time/attempts';
import { withPatience } from '../../src/time/shutdown';
import { SECOND } from '../../testbed/durations';
import { FakeClock } from '../../testbed/fakeClock';
import { busy, refused } from '../support/refresher';

/** What ends only when it is told to, and then with this error. */
const endless = (error: unknown) => async (signal: AbortSignal) => {
  if (!signal.aborted) await once(signal, 'abort');
  throw error;
};

function start() {
  const clock = new FakeClock();
  return { clock, attempts: new Attempts(clock) };
}

describe('an attempt', () => {
  it('gives what its operation gives, and is not aborted afterwards', async () => {
    const { clock, attempts } = start();
    let given: AbortSignal | undefined;

    const outcome = await attempts.run('connection', SECOND, signal => {
      given = signal;
      return Promise.resolve('open');
    });
    await clock.advance(2 * SECOND);

    expect(outcome).toBe('open');
    expect(given!.aborted).toBe(false);
  });

  it('that takes too long says so, with the setting and the cause', async () => {
    const { clock, attempts } = start();
    const cause = busy();
    const outcome = attempts.run('connection', 60 * SECOND, endless(cause));
    const checked = expect(outcome).rejects.toMatchObject({
      code: 'connect-timeout',
      cause,
      message: expect.stringMatching(
        /^No connection within 60 s \(backend\.database\.lakebase\.connectTimeout, or a shorter timeout in backend\.database\.knexConfig\)/,
      ) as string,
    });

    await clock.advance(60 * SECOND);

    await checked;
  });

  it('that fails for good at its end says why instead', async () => {
    const { clock, attempts } = start();
    const error = refused();
    const outcome = attempts.run('connection', SECOND, endless(error));
    const checked = expect(outcome).rejects.toBe(error);

    await clock.advance(SECOND);

    await checked;
  });

  it('that fails in time fails with its own error', async () => {
    const { attempts } = start();
    const error = busy();

    const outcome = attempts.run('connection', SECOND, () =>
      Promise.reject(error),
    );

    await expect(outcome).rejects.toBe(error);
  });
});

describe('at shutdown', () => {
  it('attempts end at once, and none begins any more', async () => {
    const { attempts } = start();
    const outcome = attempts.run('connection', SECOND, endless(busy()));
    const checked = expect(outcome).rejects.toMatchObject({
      code: 'stopped',
      message: 'No connection: Backstage is shutting down',
    });

    await attempts.stop();

    await checked;
    await expect(
      attempts.run('connection', SECOND, () => Promise.resolve()),
    ).rejects.toMatchObject({ code: 'stopped' });
  });

  it('what closes is waited for, for 10 s', async () => {
    const { clock } = start();
    let over = false;
    const never = new Promise(() => {});
    const closing = withPatience(never, clock).then(() => (over = true));

    await clock.advance(9.9 * SECOND);
    expect(over).toBe(false);
    await clock.advance(0.1 * SECOND);

    await closing;
    expect(over).toBe(true);
  });

  it('nothing is waited for once all has closed', async () => {
    const { clock } = start();

    await withPatience(Promise.resolve(), clock);

    expect(clock.monotonic()).toBe(0);
  });
});
