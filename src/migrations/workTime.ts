import type { Clock } from '../time/clock';

/** A clock that stands still while somebody looks at the work. */
export class WorkTime {
  readonly #clock: Clock;
  #lookedMs = 0;
  #lookingSince?: number;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds of work until now. */
  now(): number {
    return (this.#lookingSince ?? this.#clock.monotonic()) - this.#lookedMs;
  }

  /** Runs what is no part of the work. */
  async looking<T>(look: () => Promise<T>): Promise<T> {
    if (this.#lookingSince !== undefined) return look();
    const since = this.#clock.monotonic();
    this.#lookingSince = since;
    try {
      return await look();
    } finally {
      this.#lookedMs += this.#clock.monotonic() - since;
      this.#lookingSince = undefined;
    }
  }
}
