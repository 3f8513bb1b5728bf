import { CustomErrorBase, InputError } from '@backstage/errors';
import { showControls } from './texts';

/**
 * What went wrong, as a word that code can decide on. `true` marks what passes
 * by itself: it is retried within the caller's deadline. Everything else is
 * permanent until somebody changes a setting or a grant.
 */
const PASSES_BY_ITSELF = {
  'workspace-unreachable': true,
  'workspace-busy': true,
  'workspace-reply-invalid': true,
  'permission-not-propagated': true,
  'workspace-untrusted': false,
  'workspace-redirected': false,
  'workspace-mismatch': false,
  'client-refused': false,
  'access-token-refused': false,
  'permission-denied': false,
  'endpoint-not-found': false,
  'request-invalid': false,
  'database-unreachable': true,
  'database-waking': true,
  'database-full': true,
  'database-unknown-host': true,
  'external-authorization-failed': true,
  'token-refused': true,
  'database-error': false,
  'database-untrusted': false,
  'database-refused': false,
  'database-missing': false,
  'database-read-only': false,
  'database-host-missing': false,
  'branch-changed': false,
  'branch-missing': false,
  'branch-exists': false,
  'branch-quota': false,
  'branch-ttl-capped': false,
  'branch-refused': false,
  'operation-failed': false,
  'scrub-refused': false,
  'migrations-locked': false,
  'warehouse-missing': false,
  'warehouse-stopped': false,
  'statement-failed': false,
  'connections-spent': false,
  'role-missing': false,
  'login-refused': false,
  'grant-missing': false,
  'connect-timeout': false,
  stopped: false,
} as const satisfies Record<string, boolean>;

/** @public */
export type LakebaseErrorCode = keyof typeof PASSES_BY_ITSELF;

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
  override readonly name = 'LakebaseError';
  readonly code: LakebaseErrorCode;
  /** How long to wait before the next attempt at least, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly #explanation: Explanation;

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

  /** The same failure, decided on in another way. */
  as(code: LakebaseErrorCode, retryAfterMs?: number): LakebaseError {
    const { cause } = this;
    return new LakebaseError(code, this.#explanation, { cause, retryAfterMs });
  }

  /** False for what a retry may cure. */
  get permanent(): boolean {
    return !PASSES_BY_ITSELF[this.code];
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
