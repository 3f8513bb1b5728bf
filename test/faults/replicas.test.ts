import { HOUR, MINUTE, SECOND } from '../../testbed/durations';
import { type ReplicaSettings, simulateReplicas } from '../../testbed/replicas';

const REPLICAS = 200;

describe('200 replicas that start together', () => {
  it('renew their credentials spread evenly between a third and half of the life', async () => {
    const { counts, times } = await simulateReplicas({
      replicas: REPLICAS,
      forMs: HOUR / 2,
    });

    const renewals = times.filter(time => time > 0);
    expect(renewals).toHaveLength(REPLICAS);
    expect(Math.min(...renewals)).toBeGreaterThanOrEqual(HOUR / 3);
    expect(perMinute(renewals).slice(20)).toHaveLength(10);
    // Evenly it were 20 in each minute, and one every three seconds.
    for (const inMinute of perMinute(renewals).slice(20)) {
      expect(inMinute).toBeGreaterThan(8);
      expect(inMinute).toBeLessThan(35);
    }
    expect(counts.peakPerSecond).toBeLessThanOrEqual(4);
  });

  it('stay spread for a day', async () => {
    const { counts } = await simulateReplicas({
      replicas: REPLICAS,
      forMs: 24 * HOUR,
    });

    expect(counts.peakPerSecond).toBeLessThanOrEqual(5);
    expect(counts.calls).toBeLessThan((REPLICAS * 24 * HOUR) / (HOUR / 3));
  });
});

describe('200 replicas whose workspace grants 10 calls a second, and answers 429', () => {
  const limited = (settings: Partial<ReplicaSettings> = {}) =>
    simulateReplicas({
      replicas: REPLICAS,
      limitPerSecond: 10,
      latencyMs: 50,
      forMs: 20 * MINUTE - SECOND,
      ...settings,
    });

  it.each([
    ['without Retry-After', undefined],
    ['with a Retry-After of 1 s', SECOND],
  ])(
    'all have a credential in bounded attempts, %s',
    async (_, retryAfterMs) => {
      const { counts } = await limited({ retryAfterMs });

      // In 20 s at the soonest.
      expect(counts.allServedAfterMs).toBeLessThan(40 * SECOND);
      expect(counts.attemptsForTheFirst).toBeLessThanOrEqual(16);
      expect(counts.calls).toBeLessThan(8 * REPLICAS);
    },
  );

  it.each([
    ['5 s', 5 * SECOND],
    ['30 s', 30 * SECOND],
    ['60 s', MINUTE],
  ])(
    'do not all come back when a Retry-After of %s is over',
    async (_, retryAfterMs) => {
      const { counts } = await limited({ retryAfterMs });

      // As one, they would be 190.
      expect(counts.peakPerSecond).toBeLessThan(100);
      expect(counts.attemptsForTheFirst).toBeLessThanOrEqual(8);
      expect(counts.calls).toBeLessThan(5 * REPLICAS);
    },
  );

  it('call less and less often', async () => {
    const { times } = await limited();

    const [first, second, third, fourth] = [0, 5, 10, 15].map(
      from =>
        times.filter(
          time => time >= from * SECOND && time < (from + 5) * SECOND,
        ).length,
    );
    expect(second).toBeLessThan(first);
    expect(third).toBeLessThan(second);
    expect(fourth).toBeLessThan(third);
  });
});

function perMinute(times: number[]): number[] {
  const counts: number[] = [];
  for (const time of times) {
    const minute = Math.min(29, Math.floor(time / MINUTE));
    counts[minute] = (counts[minute] ?? 0) + 1;
  }
  return counts;
}
