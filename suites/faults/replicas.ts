import { type ReplicaSettings, simulateReplicas } from '../../testbed/replicas';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;

const LIMITED = { limitPerSecond: 10, latencyMs: 50 };

const SCENARIOS: Record<string, Partial<ReplicaSettings>> = {
  'no limit': {},
  '10 mints a second, else 429': LIMITED,
  'the same, with Retry-After: 5': {
    ...LIMITED,
    retryAfterMs: 5 * SECOND_MS,
  },
  'the same, with Retry-After: 60': {
    ...LIMITED,
    retryAfterMs: 60 * SECOND_MS,
  },
};

/** 200 replicas that start together, through half a life, in Markdown. */
export async function replicaTable(): Promise<string> {
  const lines: string[] = [];
  for (const [name, settings] of Object.entries(SCENARIOS)) {
    const { counts } = await simulateReplicas({
      replicas: 200,
      forMs: HOUR_MS / 2,
      ...settings,
    });
    const cells = [
      name,
      counts.calls,
      counts.refused,
      counts.attemptsForTheFirst,
      `${Math.round(counts.allServedAfterMs! / SECOND_MS)} s`,
      counts.peakPerSecond,
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `| The workspace grants | Calls | Refused | Most attempts for a first credential | All have one after | Calls in the busiest second but the first |
| --- | --- | --- | --- | --- | --- |
${lines.join('\n')}
`;
}
