import { Clock, elapsedMs, Instant, instant } from './time/clock';
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

/** Hears what becomes of the credential. */
export interface RefreshListener {
  /** A new token is in memory, and will be replaced in `refreshInMs`. */
  onMinted?(info: {
    durationMs: number;
    lifeMs: number;
    refreshInMs: number;
  }): void;
  /** An attempt failed; the token in memory serves logins for `usableForMs`. */
  onFailed?(info: {
    durationMs: number;
    error: Error;
    usableForMs: number;
  }): void;
  /** Somebody asks for a token while none is usable and minting fails. */
  onStranded?(info: { error: Error }): void;
}

/**
 * Why there is no token, but for what minting itself failed with: `stop()` was
 * called, the caller's signal aborted first, the mint gave the very token that
 * was refused, or one without life.
 */
export type RefreshFault =
  'stopped' | 'timed-out' | 'refused-again' | 'expired';

export interface TokenRefresherOptions {
  /** One attempt, which must end by itself or when the signal aborts. */
  mint(signal: AbortSignal): Promise<Credential>;
  /** Words a fault; `cause` is what minting failed with last. */
  explain(fault: RefreshFault, cause?: Error): Error;
  listeners?: RefreshListener[];
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
  /** How many in a row would pass by themselves. */
  count: number;
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

  /** Whether no token is usable and the last attempt to mint one failed. */
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

      if (this.#failure) {
        const { error } = this.#failure;
        this.#tell(listener => listener.onStranded?.({ error }));
      }
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
   * a new one unless that would be pointless.
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

  #unavailable(): Error {
    return this.#stopping.signal.aborted
      ? this.#options.explain('stopped')
      : this.#options.explain('timed-out', this.#failure?.error);
  }

  #tell(what: (listener: RefreshListener) => void): void {
    this.#options.listeners?.forEach(what);
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
    try {
      const credential = await this.#options.mint(this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      this.#accept(credential, since);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#fail(error as Error, since);
    }
  }

  #accept({ token, lifeMs }: Credential, since: Instant): void {
    const same = this.#held?.token === token;
    if (same && this.#held?.refused) {
      throw this.#options.explain('refused-again');
    }
    const held: Held = {
      token,
      lifeMs,
      since,
      refused: false,
      users: same ? this.#held!.users : new Set(),
    };
    // Not `=== 0`, which an unknown life would pass.
    if (!(this.#usableForMs(held) > 0)) throw this.#options.explain('expired');
    this.#held = held;
    this.#failure = undefined;

    const delayMs = refreshDelayMs(lifeMs, this.#clock.random());
    // A source with a cache of its own gives the same token until it expires.
    const refreshInMs = same ? Math.max(delayMs, MIN_GAP_MS) : delayMs;
    this.#schedule({ since, delayMs: refreshInMs, movable: false });

    const durationMs = elapsedMs(this.#clock, since);
    this.#tell(l => l.onMinted?.({ durationMs, lifeMs, refreshInMs }));
  }

  #fail(error: Error, since: Instant): void {
    const at = instant(this.#clock);
    const previous = this.#failure;
    if (isPermanent(error)) {
      this.#failure = { error, at, count: 0 };
      const delayMs = refusalRetryMs(this.#clock.random());
      this.#schedule({ since: at, delayMs, movable: true });
    } else {
      this.#failure = { error, at, count: (previous?.count ?? 0) + 1 };
      this.#scheduleBackoff();
    }
    const durationMs = elapsedMs(this.#clock, since);
    const usableForMs = this.#held ? this.#usableForMs(this.#held) : 0;
    this.#tell(l => l.onFailed?.({ durationMs, error, usableForMs }));
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
