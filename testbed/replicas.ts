import { explainRefreshFault } from '../src/databricks/credentialFaults';
import { LakebaseError } from '../src/errors';
import { type Credential, TokenRefresher } from '../src/tokenRefresher';
import { FakeClock } from './fakeClock';
import { HOUR, SECOND } from './durations';

export interface ReplicaSettings {
  replicas: number;
  /** How long to watch them, from their start together. */
  forMs: number;
  lifeMs?: number;
  /** Calls that the workspace grants within one second; it refuses the rest. */
  limitPerSecond?: number;
  /** What a refusal asks for, if anything. */
  retryAfterMs?: number;
  /** How long the workspace takes to answer. */
  latencyMs?: number;
  seed?: number;
}

export interface ReplicaCounts {
  replicas: number;
  /** Of all replicas together: granted and refused ones. */
  calls: number;
  refused: number;
  /** The most calls of one replica before it had its first credential. */
  attemptsForTheFirst: number;
  /** When the last replica had its first credential; undefined: never. */
  allServedAfterMs?: number;
  /** The busiest second after the first one, in which all start. */
  peakPerSecond: number;
}

export interface ReplicaRun {
  counts: ReplicaCounts;
  /** When each call came in, in ms from the start. */
  times: number[];
}

/** The same draws in each run (Park and Miller's generator). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Processes that start together and share one workspace, each on its own. */
export async function simulateReplicas(
  settings: ReplicaSettings,
): Promise<ReplicaRun> {
  const { replicas, forMs, seed = 1 } = settings;
  const clock = new FakeClock();
  clock.random = seededRandom(seed);
  const workspace = new LimitedWorkspace(clock, settings);
  const first = Array.from({ length: replicas }, () => ({
    attempts: 0,
    at: Infinity,
  }));

  const refreshers = first.map(mine => {
    const refresher = new TokenRefresher({
      clock,
      mint: () => workspace.mint(),
      explain: explainRefreshFault,
      listeners: [
        {
          onMinted() {
            if (mine.at < Infinity) return;
            mine.attempts += 1;
            mine.at = clock.monotonic();
          },
          onFailed() {
            if (mine.at === Infinity) mine.attempts += 1;
          },
        },
      ],
    });
    refresher.start();
    return refresher;
  });
  // The first connection of each, which waits as long as it takes.
  const connections = refreshers.map(refresher => refresher.token());
  const outcomes = Promise.allSettled(connections);
  await clock.advance(forMs);
  for (const refresher of refreshers) refresher.stop();
  await outcomes;

  const { times, refused } = workspace;
  const servedAfterMs = Math.max(...first.map(({ at }) => at));
  const counts = {
    replicas,
    calls: times.length,
    refused,
    attemptsForTheFirst: Math.max(...first.map(({ attempts }) => attempts)),
    allServedAfterMs: servedAfterMs < Infinity ? servedAfterMs : undefined,
    peakPerSecond: Math.max(...perSecond(times, forMs).slice(1)),
  };
  return { counts, times };
}

/** How many of these came in within each second. */
function perSecond(times: number[], forMs: number): number[] {
  const counts = new Array<number>(Math.ceil(forMs / SECOND) + 1).fill(0);
  for (const time of times) counts[Math.floor(time / SECOND)] += 1;
  return counts;
}

/** Grants so many calls a second, as a limit per workspace would. */
class LimitedWorkspace {
  readonly times: number[] = [];
  refused = 0;
  readonly #clock: FakeClock;
  readonly #settings: ReplicaSettings;
  #second = -1;
  #grantedInSecond = 0;

  constructor(clock: FakeClock, settings: ReplicaSettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  async mint(): Promise<Credential> {
    const { lifeMs = HOUR, latencyMs = 0, retryAfterMs } = this.#settings;
    const granted = this.#admit();
    if (latencyMs > 0) {
      await new Promise<void>(resolve =>
        this.#clock.schedule(resolve, latencyMs),
      );
    }
    if (granted) return { token: `token ${this.times.length}`, lifeMs };

    this.refused += 1;
    throw new LakebaseError(
      'workspace-busy',
      { problem: 'HTTP 429' },
      { retryAfterMs },
    );
  }

  #admit(): boolean {
    const now = this.#clock.monotonic();
    this.times.push(now);
    const second = Math.floor(now / SECOND);
    if (second !== this.#second) this.#grantedInSecond = 0;
    this.#second = second;
    this.#grantedInSecond += 1;
    return this.#grantedInSecond <= (this.#settings.limitPerSecond ?? Infinity);
  }
}
