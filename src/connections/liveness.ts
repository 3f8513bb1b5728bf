import type { Client } from 'pg';
import { type Clock, elapsedMs, instant, type Instant } from '../time/clock';
import { whileListening } from '../time/whileListening';
import type { TokenSource } from './openConnection';

/**
 * A connection that was in use less than this ago is trusted, as by pgxpool;
 * HikariCP takes half of it.
 */
const TRUSTED_MS = 1_000;

/** Leaves most of the 5 s that a query may lose to opening a new connection. */
const ANSWER_MS = 2_000;

export interface LivenessOptions {
  tokens: TokenSource;
  connectTimeoutMs: number;
  clock: Clock;
}

/**
 * Asks a connection that was idle whether it is still there, before a query
 * gets it. Its end may not have been read yet, after the process was stopped,
 * or never arrive, and then TCP takes 40 s to notice.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #lastUse = new WeakMap<Client, Instant>();
  /** When one was asked that did not answer. */
  #silentSince?: Instant;
  /** When one was last cut off. */
  #cutOff?: Instant;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  /** The connection was in use until now. */
  used(connection: Client): void {
    this.#lastUse.set(connection, instant(this.#options.clock));
  }

  /**
   * One of them was cut off. Whatever did that is doing it to the others, whose
   * ends may be read a moment later, so none is trusted that was in use before.
   */
  cutOff(): void {
    this.#cutOff = instant(this.#options.clock);
  }

  async check(connection: Client): Promise<boolean> {
    const { tokens, clock } = this.#options;
    const lastUse = this.#lastUse.get(connection)!;
    if (this.#isTrusted(lastUse)) return true;
    // What took one of them away took the others as well, most likely; each
    // would cost its query the whole wait. Unless none can be opened instead.
    const suspect =
      this.#silentSince && lastUse.monotonic < this.#silentSince.monotonic;
    if (suspect && tokens.usable) return false;

    const asked = instant(clock);
    const answer = await this.#ask(connection);
    if (answer === 'none') this.#silentSince = asked;
    if (answer === 'alive') this.used(connection);
    return answer === 'alive';
  }

  #isTrusted(lastUse: Instant): boolean {
    const since = this.#cutOff?.monotonic ?? -Infinity;
    return (
      lastUse.monotonic > since &&
      elapsedMs(this.#options.clock, lastUse) < TRUSTED_MS
    );
  }

  #ask(connection: Client): Promise<'alive' | 'ended' | 'none'> {
    const { clock, connectTimeoutMs } = this.#options;
    // Of a pool that gives up sooner, half.
    const patienceMs = Math.min(ANSWER_MS, connectTimeoutMs / 2);
    return new Promise(resolve => {
      const cancel = whileListening(clock, patienceMs, () => resolve('none'));
      // The empty query takes a round trip, and no planning.
      connection
        .query('')
        .then(
          () => resolve('alive'),
          () => resolve('ended'),
        )
        .finally(cancel);
    });
  }
}
