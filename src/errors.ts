import { CustomErrorBase, InputError } from '@backstage/errors';
import { ERROR_CODES, type LakebaseErrorCode } from './errorCodes';
import { showControls } from './texts';

export type { LakebaseErrorCode };

/**
 * What went wrong, in parts; whatever prints it puts them together.
 *
 * @public
 */
export interface Explanation {
  /** What failed: a sentence without its full stop. */
  problem: string;
  /** What to do about it; introduces the statements, if there are any. */
  remedy?: string;
  /** SQL, commands or configuration to paste, complete and one by one. */
  statements?: readonly string[];
}

/** An explanation as running text. */
export function formatExplanation({
  problem,
  remedy,
  statements,
}: Explanation): string {
  const pasted = statements?.length ? `: ${statements.join(' ')}` : '';
  return (remedy ? `${problem}. ${remedy}` : problem) + pasted;
}

/** Its parts may quote what servers said, or names that others chose. */
const showAllControls = (explanation: Explanation): Explanation => ({
  ...explanation,
  problem: showControls(explanation.problem),
  ...(explanation.remedy && { remedy: showControls(explanation.remedy) }),
  ...(explanation.statements && {
    statements: explanation.statements.map(showControls),
  }),
});

/**
 * The error of this package for everything but bad configuration. It never
 * holds a token, a secret or the body of a reply. Its message is the whole
 * explanation, since that is what Backstage prints.
 *
 * @public
 */
export class LakebaseError extends CustomErrorBase {
  /** By which it is told apart where packages are installed twice. */
  override readonly name = 'LakebaseError';
  /** What went wrong, for code to decide on. */
  readonly code: LakebaseErrorCode;
  /** How long to wait before the next attempt at least, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly #explanation: Explanation;

  /** @internal */
  constructor(
    code: LakebaseErrorCode,
    explanation: Explanation,
    options: { cause?: unknown; retryAfterMs?: number } = {},
  ) {
    const shown = showAllControls(explanation);
    super(formatExplanation(shown), options.cause);
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.#explanation = shown;
  }

  /** The message in parts, without the cause. */
  get explanation(): Explanation {
    return this.#explanation;
  }

  /**
   * The same failure, decided on in another way.
   *
   * @internal
   */
  as(code: LakebaseErrorCode, retryAfterMs?: number): LakebaseError {
    const { cause } = this;
    return new LakebaseError(code, this.#explanation, { cause, retryAfterMs });
  }

  /** False for what a retry may cure. */
  get permanent(): boolean {
    return !ERROR_CODES[this.code].passes;
  }
}

/** Bad configuration or usage: to Backstage an InputError like any other. */
export class ConfigurationError extends InputError {
  readonly #explanation: Explanation;

  constructor(problem: string, remedy?: string, cause?: unknown) {
    const shown = showAllControls({ problem, remedy });
    super(formatExplanation(shown), cause);
    this.#explanation = shown;
  }

  /** The message in parts, without the cause. */
  get explanation(): Explanation {
    return this.#explanation;
  }
}

/** Any error in parts; others than ours have nothing but their message. */
export const getExplanation = (error: unknown): Explanation =>
  error instanceof LakebaseError || error instanceof ConfigurationError
    ? error.explanation
    : { problem: error instanceof Error ? error.message : String(error) };

/** Whether waiting can't cure this error. Unknown errors count as permanent. */
export function isPermanent(error: unknown): boolean {
  return !(error instanceof LakebaseError) || error.permanent;
}

/** Node's codes for a certificate that it does not accept. */
export const CERTIFICATE_FAULT =
  /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH/;

/** These, and those for what is no TLS that it accepts. */
export const TLS_FAULT = new RegExp(
  `${CERTIFICATE_FAULT.source}|ERR_SSL|ERR_TLS|EPROTO`,
);
