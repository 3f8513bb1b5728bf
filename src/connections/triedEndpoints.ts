import { type Clock, elapsedMs, instant, type Instant } from '../time/clock';

/** How long an endpoint that did not take it is not asked again. */
const REFUSED_FOR_MS = 60 * 60_000;

export interface Place {
  host: string;
  port: number;
}

/** `unknown` where the server could not be asked at all. */
export type Outcome = 'taken' | 'refused' | 'unknown';

type State = 'trying' | 'taken' | { refusedAt: Instant };

/** One connection that tries, and tells how it went. */
export interface Try {
  /** Whether the endpoint has taken it before. */
  readonly proven: boolean;
  report(outcome: Outcome): void;
}

/** What endpoints made of something that can only be found out by trying. */
export class TriedEndpoints {
  readonly #clock: Clock;
  readonly #states = new Map<string, State>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Lets a connection try; undefined for one that takes the usual way: while
   * the first one tries, and for an hour after it was refused.
   */
  begin({ host, port }: Place): Try | undefined {
    const place = `${host}:${port}`;
    const state = this.#states.get(place);
    if (state === 'trying') return undefined;
    if (typeof state === 'object') {
      const { refusedAt } = state;
      if (elapsedMs(this.#clock, refusedAt) < REFUSED_FOR_MS) return undefined;
    }
    if (state !== 'taken') this.#states.set(place, 'trying');
    return {
      proven: state === 'taken',
      report: outcome => this.#note(place, outcome),
    };
  }

  #note(place: string, outcome: Outcome): void {
    if (outcome === 'taken') this.#states.set(place, 'taken');
    else if (outcome === 'refused') {
      this.#states.set(place, { refusedAt: instant(this.#clock) });
    } else if (this.#states.get(place) === 'trying') {
      this.#states.delete(place);
    }
  }
}
