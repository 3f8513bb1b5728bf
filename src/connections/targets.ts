import type { Attempts } from '../time/attempts';
import type { Clock } from '../time/clock';
import { retry } from '../time/retry';
import { LakebaseError, type LakebaseErrorCode } from '../errors';
import { remember } from './remember';
import type { ConnectionTarget } from './target';

/** Connections fail by the dozen, but one look-up is news for all of them. */
const RENEWAL_GAP_MS = 5_000;

/** What says more of a connection that fails than its own error. */
const DECISIVE: LakebaseErrorCode[] = ['branch-changed', 'endpoint-not-found'];

type LookUp = (signal: AbortSignal) => Promise<string>;
type LookedUp = 'endpoint' | 'login name';

export interface TargetsOptions {
  /** The host that the endpoint listens on, in one attempt. */
  findHost: LookUp;
  /** The login name of the identity, if the configuration has it. */
  clientId?: string;
  /** The login name else, in one attempt. */
  findUser: LookUp;
  /** Awaited before a first look-up, which then need not report its failure. */
  prepare?: (signal: AbortSignal) => Promise<unknown>;
  connectTimeoutMs: number;
  attempts: Attempts;
  clock: Clock;
}

/** What a connection says of its target; the rest is looked up. */
interface Connection {
  host?: string;
  port: number;
  user?: string;
  database: string;
}

/**
 * Completes where connections go with what the configuration leaves out: the
 * endpoint's host and the login name, each looked up by the first who needs it.
 */
export class Targets {
  readonly #options: TargetsOptions;
  readonly #found = new Map<LookedUp, Promise<string>>();
  #renewal?: { at: number; done: Promise<void> };

  constructor(options: TargetsOptions) {
    this.#options = options;
  }

  /** @throws LakebaseError; the next call tries again. */
  async complete(
    { host, port, user, database }: Connection,
    role?: string,
  ): Promise<ConnectionTarget> {
    const target: ConnectionTarget = {
      host: host ?? (await this.host()),
      port,
      user: user ?? this.#options.clientId ?? (await this.user()),
      database,
      role,
    };
    if (host === undefined) {
      target.relocate = async signal => {
        target.host = await this.#renewedHost(signal);
      };
    }
    return target;
  }

  /** @throws LakebaseError; the next call tries again. */
  host(): Promise<string> {
    return this.#lookUp('endpoint', this.#options.findHost);
  }

  /** @throws LakebaseError; the next call tries again. */
  user(): Promise<string> {
    return this.#lookUp('login name', this.#options.findUser);
  }

  #lookUp(what: LookedUp, find: LookUp): Promise<string> {
    const { prepare, connectTimeoutMs, attempts, clock } = this.#options;
    return remember(this.#found, what, () =>
      attempts.run(`${what} look-up`, connectTimeoutMs, async signal => {
        await prepare?.(signal);
        return retry(() => find(signal), { clock, signal });
      }),
    );
  }

  /**
   * The host, looked up again after a connection to it failed: a restored or
   * re-created endpoint has another one. While the workspace cannot say, it is
   * the one known so far.
   */
  async #renewedHost(signal: AbortSignal): Promise<string> {
    const now = this.#options.clock.monotonic();
    if (!this.#renewal || now - this.#renewal.at >= RENEWAL_GAP_MS) {
      this.#renewal = { at: now, done: this.#renew(signal) };
    }
    await this.#renewal.done;
    return this.host();
  }

  async #renew(signal: AbortSignal): Promise<void> {
    try {
      const host = await this.#options.findHost(signal);
      this.#found.set('endpoint', Promise.resolve(host));
    } catch (error) {
      if (error instanceof LakebaseError && DECISIVE.includes(error.code)) {
        throw error;
      }
    }
  }
}
