import { LakebaseError } from '../../src/errors';
import { retry } from '../../src/time/retry';
import { SECOND } from '../../testbed/durations';
import { FakeClock } from '../../testbed/fakeClock';
import { ALMOST_ONE, busy, refused } from '../support/refresher';

/** When each of the attempts begins, in seconds, until one succeeds. */
async function attemptsAt(random: number, failures: Error[]) {
  const clock = new FakeClock();
  clock.random = () => random;
  clock.skipsPauses = true;
  const times: number[] = [];
  const { signal } = new AbortController();
  const operation = () => {
    times.push(Math.round(clock.monotonic() / 10) / 100);
    const failure = failures[times.length - 1];
    return failure ? Promise.reject(failure) : Promise.resolve('done');
  };
  const outcome = await retry(operation, { clock, signal }).catch(
    (error: unknown) => error,
  );
  return { times, outcome };
}

const fails = (times: number, error = busy()) =>
  Array.from({ length: times }, () => error);

describe('what fails for a while', () => {
  it.each([
    ['almost 1', ALMOST_ONE, [0, 0.25, 0.75, 1.75, 3.75, 7.75, 11.75]],
    ['0.5', 0.5, [0, 0.13, 0.38, 0.88, 1.88, 3.88, 5.88]],
    ['0', 0, [0, 0, 0, 0, 0, 0, 0]],
  ])('is tried again, at a draw of %s', async (_, random, expected) => {
    const { times, outcome } = await attemptsAt(random, fails(6));

    expect(outcome).toBe('done');
    times.forEach((time, index) =>
      expect(time).toBeCloseTo(expected[index], 1),
    );
  });

  it('is not tried again before it asked to be', async () => {
    const { times } = await attemptsAt(0, [busy(7 * SECOND)]);

    expect(times).toEqual([0, 7]);
  });

  it('ends with its last error when nobody waits any more', async () => {
    const clock = new FakeClock();
    const giveUp = new AbortController();
    const last = busy();
    const outcome = retry(() => Promise.reject(last), {
      clock,
      signal: giveUp.signal,
    });
    await clock.paused();

    giveUp.abort();

    await expect(outcome).rejects.toBe(last);
  });

  it('ends with the error before the one that the end itself caused', async () => {
    const clock = new FakeClock();
    clock.skipsPauses = true;
    const giveUp = new AbortController();
    const errors = [busy(), busy()];
    let attempts = 0;
    const outcome = retry(
      () => {
        if (attempts === 1) giveUp.abort();
        return Promise.reject(errors[attempts++]);
      },
      { clock, signal: giveUp.signal },
    );

    await expect(outcome).rejects.toBe(errors[0]);
  });
});

describe('what fails for good', () => {
  it.each([
    ['a refusal', refused()],
    ['a fault of ours', new Error('A bug')],
  ])('is not tried again: %s', async (_, error) => {
    const { times, outcome } = await attemptsAt(0.5, [error]);

    expect(outcome).toBe(error);
    expect(times).toHaveLength(1);
  });

  it('ends what had failed for a while', async () => {
    const { times, outcome } = await attemptsAt(0.5, [...fails(2), refused()]);

    expect(outcome).toBeInstanceOf(LakebaseError);
    expect((outcome as LakebaseError).code).toBe('client-refused');
    expect(times).toHaveLength(3);
  });
});
