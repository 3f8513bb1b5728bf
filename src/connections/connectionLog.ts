import type { LoggerService } from '@backstage/backend-plugin-api';
import { formatExplanation, type LakebaseError } from '../errors';
import type { ConnectListener } from './openConnection';

type Lines = Pick<LoggerService, 'info' | 'warn'>;

/** A glitch is retried without a word; an endpoint that wakes up takes less. */
const PATIENCE_MS = 2_000;

/**
 * Logs that connections of an endpoint are being retried, which callers learn
 * at their end only: once, and once that they work again.
 */
export class ConnectionLog implements ConnectListener {
  readonly #logger: Lines;
  readonly #connectTimeoutMs: number;
  #logged = false;

  constructor(logger: Lines, connectTimeoutMs: number) {
    this.#logger = logger;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  onRetry(fault: LakebaseError, sinceMs: number): void {
    if (this.#logged || sinceMs < PATIENCE_MS) return;
    this.#logged = true;
    const leftMs = Math.max(0, this.#connectTimeoutMs - sinceMs);
    this.#logger.warn(
      'New connections to Lakebase fail and are retried, for ' +
        `${Math.round(leftMs / 1000)} s more ` +
        '(backend.database.lakebase.connectTimeout). ' +
        formatExplanation(fault.explanation),
    );
  }

  onConnect({ error }: { error?: unknown }): void {
    if (error !== undefined || !this.#logged) return;
    this.#logged = false;
    this.#logger.info('New connections to Lakebase work again');
  }
}
