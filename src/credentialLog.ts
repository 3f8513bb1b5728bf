import type { LoggerService } from '@backstage/backend-plugin-api';
import { stringifyError } from '@backstage/errors';
import { isPermanent, LakebaseError } from './errors';
import type { RefreshListener } from './tokenRefresher';

type Minted = Parameters<NonNullable<RefreshListener['onMinted']>>[0];
type Failed = Parameters<NonNullable<RefreshListener['onFailed']>>[0];

/**
 * Logs how the credential of an endpoint fares: each change once, since a
 * repeated failure is not news. News are the first failure after a success, a
 * failure of another kind, the end of the last usable credential while minting
 * fails, and the first success after that.
 */
export class CredentialLog implements RefreshListener {
  readonly #logger: LoggerService;
  readonly #endpoint: string;
  /** The failure that was logged last, until minting works again. */
  #logged?: Error;
  /** Whether that line said that the current credential goes on to serve. */
  #saidUsable = false;

  constructor(logger: LoggerService, endpoint: string) {
    this.#logger = logger;
    this.#endpoint = endpoint;
  }

  onMinted({ lifeMs, refreshInMs }: Minted): void {
    if (this.#logged) {
      this.#logger.info(
        `Minting Lakebase credentials for ${this.#endpoint} works again`,
      );
    }
    this.#logged = undefined;
    this.#logger.debug(
      `Minted a Lakebase credential for ${this.#endpoint} that lives ` +
        `${roundDuration(lifeMs)}, next refresh in ${roundDuration(refreshInMs)}`,
    );
  }

  onFailed({ error, usableForMs }: Failed): void {
    const usable = usableForMs > 0;
    if (this.#logged && isSameKind(this.#logged, error)) {
      if (!usable) this.#logEnd(error);
      return;
    }
    this.#logged = error;
    this.#saidUsable = usable;
    const permanent = isPermanent(error);
    this.#logger[usable && !permanent ? 'warn' : 'error'](
      `Minting Lakebase credentials for ${this.#endpoint} fails, ` +
        (permanent
          ? 'and somebody has to act; it is tried again every few minutes. '
          : 'and is tried again. ') +
        (usable
          ? `The current one serves new connections for ${roundDuration(usableForMs)} more. `
          : 'Open connections go on, new ones cannot be opened. ') +
        stringifyError(error),
    );
  }

  onStranded({ error }: { error: Error }): void {
    this.#logEnd(error);
  }

  #logEnd(error: Error): void {
    if (!this.#logged || !this.#saidUsable) return;
    this.#saidUsable = false;
    this.#logger.error(
      `The last of the Lakebase credentials for ${this.#endpoint} is no longer ` +
        'valid, and minting fails. Open connections go on, new ones cannot be ' +
        `opened. ${stringifyError(error)}`,
    );
  }
}

/** Outages are all alike; refusals differ by what somebody has to do. */
function isSameKind(one: Error, other: Error): boolean {
  if (isPermanent(one) !== isPermanent(other)) return false;
  return !isPermanent(one) || readCode(one) === readCode(other);
}

const readCode = (error: Error) =>
  error instanceof LakebaseError ? error.code : undefined;

const roundDuration = (ms: number) =>
  ms < 120_000
    ? `${Math.round(ms / 1000)} s`
    : `${Math.round(ms / 60_000)} min`;
