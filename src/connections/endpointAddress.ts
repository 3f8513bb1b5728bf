import { LakebaseError, LakebaseErrorCode } from '../errors';
import type { Clock } from '../time/clock';

/** Connections fail by the dozen, but one look-up is news for all of them. */
const RENEWAL_GAP_MS = 5_000;

/** What says more of a connection that fails than its own error. */
const DECISIVE: LakebaseErrorCode[] = ['branch-changed', 'endpoint-not-found'];

export interface EndpointAddressOptions {
  /** The first look-up; tries within a bound of its own. */
  find: () => Promise<string>;
  /** A later one, in one attempt. */
  findAgain: (signal: AbortSignal) => Promise<string>;
  clock: Clock;
}

/** The host that the endpoint listens on. */
export class EndpointAddress {
  readonly #options: EndpointAddressOptions;
  #host?: Promise<string>;
  #renewal?: { at: number; done: Promise<void> };

  constructor(options: EndpointAddressOptions) {
    this.#options = options;
  }

  /**
   * The host, which is looked up by the first caller.
   *
   * @throws LakebaseError; the next call tries again.
   */
  host(): Promise<string> {
    this.#host ??= this.#options.find().catch(error => {
      this.#host = undefined;
      throw error;
    });
    return this.#host;
  }

  /**
   * The host, looked up again since a connection there could not be made: a
   * restored or re-created endpoint has another one. While the workspace can't
   * tell, it is the one known so far.
   *
   * @throws LakebaseError when the database is not there any more.
   */
  async renewed(signal: AbortSignal): Promise<string> {
    const now = this.#options.clock.monotonic();
    if (!this.#renewal || now - this.#renewal.at >= RENEWAL_GAP_MS) {
      this.#renewal = { at: now, done: this.#renew(signal) };
    }
    await this.#renewal.done;
    return this.host();
  }

  async #renew(signal: AbortSignal): Promise<void> {
    try {
      const host = await this.#options.findAgain(signal);
      this.#host = Promise.resolve(host);
    } catch (error) {
      if (error instanceof LakebaseError && DECISIVE.includes(error.code)) {
        throw error;
      }
    }
  }
}
