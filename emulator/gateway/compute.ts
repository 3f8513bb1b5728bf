import type { Span } from '../controlPlane/endpointHistory';
import { delay } from '../delay';
import type { ServerClock } from '../serverClock';

export interface SuspendOptions {
  wakeDelayMs: number;
  /**
   * What a connection meets while the compute wakes up: it waits (default), is
   * told that the server is starting up, or finds its socket reset.
   */
  while?: 'hold' | 'startingUp' | 'refuse';
}

/** The machine behind the endpoint: awake, or suspended until somebody connects. */
export class Compute {
  readonly #start: () => Promise<unknown>;
  #suspension?: SuspendOptions;
  #wake?: Promise<void>;
  readonly #clock: ServerClock;
  readonly #awake: { from: number; until?: number }[];

  /** @param start - what else its wake takes, such as the start of a server. */
  constructor(
    clock: ServerClock,
    start: () => Promise<unknown> = () => Promise.resolve(),
  ) {
    this.#clock = clock;
    this.#start = start;
    this.#awake = [{ from: clock.now() }];
  }

  /** When it ran, until now. */
  get awakeSpans(): Span[] {
    const now = this.#clock.now();
    return this.#awake.map(({ from, until = now }) => ({ from, until }));
  }

  get awake(): boolean {
    return !this.#suspension;
  }

  /** What a connection meets now, if the compute is not awake. */
  get meanwhile(): SuspendOptions['while'] {
    return this.#suspension && (this.#suspension.while ?? 'hold');
  }

  suspend(options: SuspendOptions): void {
    if (this.awake) this.#awake.at(-1)!.until = this.#clock.now();
    this.#suspension = options;
    this.#wake = undefined;
  }

  /** Resolves when awake; the first call starts the wake. */
  wake(): Promise<void> {
    const suspension = this.#suspension;
    if (!suspension) return Promise.resolve();
    this.#wake ??= Promise.all([
      delay(suspension.wakeDelayMs),
      this.#start(),
    ]).then(() => {
      // It may have been suspended again in the meantime.
      if (this.#suspension !== suspension) return;
      this.#suspension = undefined;
      this.#awake.push({ from: this.#clock.now() });
    });
    return this.#wake;
  }
}
