import { explainRefreshFault } from '../../src/databricks/credentialFaults';
import { LakebaseError } from '../../src/errors';
import { type Credential, TokenRefresher } from '../../src/tokenRefresher';
import { HOUR } from '../../testbed/durations';
import { FakeClock } from '../../testbed/fakeClock';

/** The largest that a draw from [0, 1) can be. */
export const ALMOST_ONE = 1 - Number.EPSILON / 2;

/** A fault that passes by itself. */
export const busy = (retryAfterMs?: number) =>
  new LakebaseError(
    'workspace-busy',
    { problem: 'HTTP 503' },
    { retryAfterMs },
  );

/** A fault that somebody has to cure. */
export const refused = () =>
  new LakebaseError('client-refused', { problem: 'HTTP 401' });

/** Mints what a test tells it to, and notes when and how often it is asked. */
export class FakeMint {
  /** When each attempt began, in ms since the test did. */
  readonly times: number[] = [];
  /** The signal of the latest attempt. */
  signal?: AbortSignal;
  #answer: () => Credential | Promise<Credential>;

  constructor(
    readonly clock: FakeClock,
    lifeMs: number,
  ) {
    this.#answer = () => ({ token: `token ${this.count}`, lifeMs });
  }

  get count(): number {
    return this.times.length;
  }

  /** The same times in seconds, to a tenth. */
  get seconds(): number[] {
    return this.times.map(ms => Math.round(ms / 100) / 10);
  }

  readonly attempt = async (signal: AbortSignal): Promise<Credential> => {
    this.times.push(this.clock.monotonic());
    this.signal = signal;
    return this.#answer();
  };

  gives(credential: () => Credential): void {
    this.#answer = credential;
  }

  /** Gives `token 1`, `token 2`, ... */
  givesTokensFor(lifeMs: number): void {
    this.#answer = () => ({ token: `token ${this.count}`, lifeMs });
  }

  failsWith(error: unknown): void {
    this.#answer = () => {
      throw error;
    };
  }

  /** Leaves attempts unanswered until the test answers the latest. */
  hangs() {
    const latest = {
      give: (_: Credential): void => undefined,
      fail: (_: unknown): void => undefined,
    };
    this.#answer = () =>
      new Promise((resolve, reject) => {
        latest.give = resolve;
        latest.fail = reject;
      });
    return latest;
  }
}

/** A refresher on a clock and a mint that the test steers. */
export function createRefresher(
  options: { lifeMs?: number; random?: () => number } = {},
) {
  const clock = new FakeClock();
  clock.random = options.random ?? clock.random;
  const mint = new FakeMint(clock, options.lifeMs ?? HOUR);
  const told = {
    onMinted: jest.fn(),
    onFailed: jest.fn(),
    onStranded: jest.fn(),
  };
  const refresher = new TokenRefresher({
    mint: mint.attempt,
    explain: explainRefreshFault,
    listeners: [told],
    clock,
  });
  return { clock, mint, told, refresher };
}

/** The same, with its first token in memory. */
export async function startRefresher(
  options: Parameters<typeof createRefresher>[0] = {},
) {
  const parts = createRefresher(options);
  parts.refresher.start();
  await parts.clock.advance(0);
  return parts;
}

/**
 * What became of a call, without waiting for it: `pending`, the token, or the
 * error. Handles the rejection at once, since one that nobody handles fails
 * the test, as it should.
 */
export function outcomeOf(call: Promise<string>): { readonly now: unknown } {
  const outcome: { now: unknown } = { now: 'pending' };
  call.then(
    token => (outcome.now = token),
    (error: unknown) => (outcome.now = error),
  );
  return outcome;
}
