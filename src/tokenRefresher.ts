import { Clock, elapsedMs, Instant, instant } from './time/clock';
import { toError } from '@backstage/errors';
import { isPermanent, LakebaseError } from './errors';
import {
  BACKOFF_CAP_WITH_WAITERS_MS,
  backoffMs,
  loginMarginMs,
  MIN_GAP_MS,
  minGapMs,
  refreshDelayMs,
  REFUSAL_SHARED_MS,
  refusalRetryMs,
} from './refreshPolicy';

/** A token and how long it lives on, counted from the moment of asking. */
export interface Credential {
  token: string;
  lifeMs: number;
}

/** What becomes of the credential; state changes are worth a log line. */
export interface RefreshListener {
  /** An attempt to mint has ended. */
  onAttempt?(info: { durationMs: number; error?: Error }): void;
  /** A new token is in memory. */
  onRefreshed?(info: { lifeMs: number; refreshInMs: number }): void;
  /** The first failure after a success, or one of another kind. */
  onFailing?(info: { error: Error; usableForMs: number }): void;
  /** The last usable token has run out, or was refused, while minting fails. */
  onExpired?(info: { error: Error }): void;
  /** The first success after failures. */
  onRecovered?(): void;
}

export interface TokenRefresherOptions extends RefreshListener {
  /** One attempt, which must end by itself or when the signal aborts. */
  mint(signal: AbortSignal): Promise<Credential>;
  clock: Clock;
}

interface Held extends Credential {
  /** When the token was asked for: its life counts from here. */
  since: Instant;
  refused: boolean;
  /** Who has logged in with it: only for them can a refusal be news. */
  readonly users: Set<string>;
}

interface NextAttempt {
  since: Instant;
  delayMs: number;
  /** Whether somebody who waits may bring it forward. */
  movable: boolean;
}

interface Failure {
  error: Error;
  at: Instant;
  count: number;
  /** Whether a token was still usable when the listener last heard of it. */
  bearable: boolean;
}

/**
 * Keeps one credential fresh in memory for any number of users.
 *
 * Started, it refreshes ahead of the expiry and retries by itself, and callers
 * without a usable token wait for that. Not started, each attempt is one that
 * a caller asked for, and its failure is that caller's.
 */
export class TokenRefresher {
  readonly #options: TokenRefresherOptions;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  readonly #waiters = new Set<() => void>();
  #held?: Held;
  #failure?: Failure;
  #attempt?: Promise<void>;
  #next?: NextAttempt;
  #started = false;
  #cancelTimer = () => {};

  constructor(options: TokenRefresherOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /** Mints ahead of the first caller, and keeps refreshing until `stop()`. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    // Not awaited: an attempt never rejects, it is told to the callers.
    if (!this.#next) void this.#refresh();
    else this.#schedule(this.#next);
  }

  /** Aborts what is in flight; whoever waits for a token gets an error. */
  stop(): void {
    this.#stopping.abort();
    this.#cancelTimer();
    this.#wakeWaiters();
    this.#held = undefined;
  }

  /** Whether `token()` would answer at once with a token. */
  get usable(): boolean {
    return this.#held !== undefined && this.#usableForMs(this.#held) > 0;
  }

  /** Whether no token is usable, and the last attempt to mint one failed. */
  get stranded(): boolean {
    return this.#failure !== undefined && !this.usable;
  }

  /** Life left of the token in memory, when there is one. */
  get leftMs(): number | undefined {
    const held = this.#held;
    if (!held) return undefined;
    if (held.refused) return 0;
    return Math.max(0, held.lifeMs - elapsedMs(this.#clock, held.since));
  }

  /**
   * The token in memory, fit for a login or not.
   *
   * @throws LakebaseError when there is none.
   */
  get current(): string {
    if (!this.#held) throw this.#unavailable();
    return this.#held.token;
  }

  /**
   * A token with enough life left for a login.
   *
   * - A usable token is handed out at once, even while refreshing it fails.
   * - A refusal is shared for a while: asking again would change nothing.
   * - Otherwise callers join the attempt in flight, or the next one, until
   *   `signal` aborts.
   */
  async token(signal?: AbortSignal): Promise<string> {
    for (;;) {
      if (this.#stopping.signal.aborted) throw this.#unavailable();

      if (this.#held && this.usable) {
        // A timer may be late: the process slept, or its event loop was busy.
        // Not awaited: nothing waits for a mint while a token is usable.
        if (this.#isDue()) void this.#refresh();
        return this.#held.token;
      }

      this.#tellExpiry();
      const refusal = this.#sharedRefusal();
      if (refusal) throw refusal;
      if (signal?.aborted) throw this.#unavailable();

      const before = this.#failure;
      await this.#settled(signal);
      const failed = this.#failure !== before && this.#failure;
      if (failed && !this.#started) throw failed.error;
    }
  }

  /** Notes that a login with this token succeeded. */
  confirm(token: string, user: string): void {
    if (this.#held?.token === token) this.#held.users.add(user);
  }

  /**
   * Notes that the server refused this token at a login of `user`, and mints
   * anew unless that would be pointless.
   *
   * @returns false when the identity is at fault and not the token: it is
   * fresh and never let this user in, so a newer one would fare no better.
   */
  reject(token: string, user: string): boolean {
    const held = this.#held;
    if (held?.token !== token || held.refused) return true;

    const fresh = elapsedMs(this.#clock, held.since) < minGapMs(held.lifeMs);
    if (fresh && !held.users.has(user)) return false;

    this.discard(token);
    return true;
  }

  /** Never hands out this token again; one already replaced is ignored. */
  discard(token: string): void {
    if (this.#held?.token !== token || this.#held.refused) return;
    this.#held.refused = true;
    // While minting fails, its pauses hold for this token too. Not awaited:
    // callers of token() join it, and it never rejects.
    if (this.#started && !this.#failure) void this.#refresh();
  }

  #usableForMs(held: Held): number {
    if (held.refused) return 0;
    const left = held.lifeMs - elapsedMs(this.#clock, held.since);
    return Math.max(0, left - loginMarginMs(held.lifeMs));
  }

  #isDue(): boolean {
    return (
      this.#next !== undefined &&
      elapsedMs(this.#clock, this.#next.since) >= this.#next.delayMs
    );
  }

  #sharedRefusal(): Error | undefined {
    const failure = this.#failure;
    if (!failure || !isPermanent(failure.error)) return undefined;
    const age = elapsedMs(this.#clock, failure.at);
    return age < REFUSAL_SHARED_MS ? failure.error : undefined;
  }

  #unavailable(): LakebaseError {
    if (this.#stopping.signal.aborted) {
      return new LakebaseError('stopped', {
        message: 'The Lakebase credential is gone: Backstage is shutting down',
      });
    }
    return new LakebaseError('connect-timeout', {
      message:
        'No usable Lakebase credential could be minted in time ' +
        '(backend.database.lakebase.connectTimeout)',
      cause: this.#failure?.error,
    });
  }

  /** Waits until an attempt has ended, or until the signal aborts. */
  #settled(signal: AbortSignal | undefined): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        this.#waiters.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      this.#waiters.add(done);
      signal?.addEventListener('abort', done);
      this.#hasten();
    });
  }

  #wakeWaiters(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  /** Brings the next attempt forward for somebody who waits for it. */
  #hasten(): void {
    if (this.#attempt) return;
    const backingOff =
      this.#started &&
      this.#failure !== undefined &&
      !isPermanent(this.#failure.error) &&
      !this.#isDue();
    // Not awaited: the waiter is woken when the attempt has ended.
    if (!backingOff) void this.#refresh();
    else if (this.#next?.movable) {
      const { since, delayMs } = this.#next;
      const left = delayMs - elapsedMs(this.#clock, since);
      if (left > BACKOFF_CAP_WITH_WAITERS_MS) this.#scheduleBackoff();
    }
  }

  #refresh(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.resolve();
    if (this.#attempt) return this.#attempt;

    this.#cancelTimer();
    const attempt = this.#mint().finally(() => {
      this.#attempt = undefined;
      this.#wakeWaiters();
    });
    this.#attempt = attempt;
    return attempt;
  }

  async #mint(): Promise<void> {
    const since = instant(this.#clock);
    let failed: Error | undefined;
    try {
      const credential = await this.#options.mint(this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      this.#accept(credential, since);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      failed = toError(error);
      this.#fail(failed);
    }
    const durationMs = elapsedMs(this.#clock, since);
    this.#options.onAttempt?.({ durationMs, error: failed });
  }

  #accept({ token, lifeMs }: Credential, since: Instant): void {
    const same = this.#held?.token === token;
    if (same && this.#held?.refused) {
      throw new LakebaseError('workspace-reply-invalid', {
        message:
          'The Databricks workspace answered with the very credential that ' +
          'was refused',
      });
    }
    const held: Held = {
      token,
      lifeMs,
      since,
      refused: false,
      users: same ? this.#held!.users : new Set(),
    };
    // Not `=== 0`, which an unknown life would pass.
    if (!(this.#usableForMs(held) > 0)) {
      throw new LakebaseError('workspace-reply-invalid', {
        message: 'The Databricks workspace answered with an expired credential',
      });
    }
    const recovered = this.#failure !== undefined;
    this.#held = held;
    this.#failure = undefined;

    const delayMs = refreshDelayMs(lifeMs, this.#clock.random());
    // A source with a cache of its own gives the same token until it expires.
    const refreshInMs = same ? Math.max(delayMs, MIN_GAP_MS) : delayMs;
    this.#schedule({ since, delayMs: refreshInMs, movable: false });

    if (recovered) this.#options.onRecovered?.();
    this.#options.onRefreshed?.({ lifeMs, refreshInMs });
  }

  #fail(error: Error): void {
    const previous = this.#failure;
    const permanent = isPermanent(error);
    const news =
      !previous ||
      isPermanent(previous.error) !== permanent ||
      (permanent && codeOf(previous.error) !== codeOf(error));
    const usableForMs = this.#held ? this.#usableForMs(this.#held) : 0;
    this.#failure = {
      error,
      at: instant(this.#clock),
      count: news ? 1 : previous.count + 1,
      bearable: news ? usableForMs > 0 : previous.bearable,
    };
    if (permanent) {
      const delayMs = refusalRetryMs(this.#clock.random());
      this.#schedule({ since: this.#failure.at, delayMs, movable: true });
    } else {
      this.#scheduleBackoff();
    }
    if (news) this.#options.onFailing?.({ error, usableForMs });
    this.#tellExpiry();
  }

  #tellExpiry(): void {
    if (!this.#failure?.bearable || this.usable) return;
    this.#failure.bearable = false;
    this.#options.onExpired?.({ error: this.#failure.error });
  }

  #scheduleBackoff(): void {
    const { error, count } = this.#failure!;
    const waiters = this.#waiters.size > 0;
    const asked =
      error instanceof LakebaseError ? error.retryAfterMs : undefined;
    this.#schedule({
      since: instant(this.#clock),
      delayMs: backoffMs(count, waiters, this.#clock.random(), asked),
      movable: asked === undefined,
    });
  }

  #schedule(next: NextAttempt): void {
    this.#cancelTimer();
    this.#next = next;
    if (!this.#started || this.#stopping.signal.aborted) return;
    this.#cancelTimer = this.#clock.schedule(
      () => {
        // The timer may be early: it is clamped, and clocks differ.
        if (this.#isDue()) void this.#refresh();
        else this.#schedule(next);
      },
      Math.max(0, next.delayMs - elapsedMs(this.#clock, next.since)),
    );
  }
}

const codeOf = (error: Error) =>
  error instanceof LakebaseError ? error.code : undefined;
