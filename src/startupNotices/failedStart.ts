import type { LoggerService } from '@backstage/backend-plugin-api';
import type { Clock } from '../time/clock';

/** So that Backstage has said before what failed. */
const AFTER_MS = 2_000;

/** Says, below all else, what becomes of a process whose start has failed. */
export class FailedStart {
  readonly #logger: LoggerService;
  readonly #clock: Clock;
  #over = false;
  #cancel = () => {};

  constructor(logger: LoggerService, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** A service that the start depends on was not to be had. */
  expect(): void {
    if (this.#over) return;
    this.#cancel();
    this.#cancel = this.#clock.schedule(() => this.#tell(), AFTER_MS);
  }

  /** Backstage has started nevertheless, or is stopped. */
  over(): void {
    this.#over = true;
    this.#cancel();
  }

  #tell(): void {
    this.over();
    this.#logger.error(
      'Backstage has not started, for the reason that it logged above. Unless ' +
        'it is told to start without that plugin, it leaves the process ' +
        'running, which answers 503: let the start-up probe end it, or end ' +
        'it yourself',
    );
  }
}
