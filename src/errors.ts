import { CustomErrorBase } from '@backstage/errors';

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
  'database-missing': false,
  'database-read-only': false,
  'database-host-missing': false,
  'branch-changed': false,
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
 * The one error of this package beside `InputError` for bad configuration. Its
 * message says what failed, which key or grant is behind it and what to do; it
 * never holds a token, a secret or a reply's body.
 *
 * @public
 */
export class LakebaseError extends CustomErrorBase {
  override readonly name = 'LakebaseError';
  readonly code: LakebaseErrorCode;
  /** How long to wait before the next attempt at least, in milliseconds. */
  readonly retryAfterMs?: number;
  /** Without what the base class adds of the cause. */
  readonly #ownMessage: string;

  constructor(
    code: LakebaseErrorCode,
    options: { message: string; cause?: unknown; retryAfterMs?: number },
  ) {
    super(options.message, options.cause);
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.#ownMessage = options.message;
  }

  /** The same failure, decided on in another way. */
  as(code: LakebaseErrorCode, retryAfterMs?: number): LakebaseError {
    const { cause } = this;
    return new LakebaseError(code, {
      message: this.#ownMessage,
      cause,
      retryAfterMs,
    });
  }

  /** False for what a retry may cure. */
  get permanent(): boolean {
    return !PASSES_BY_ITSELF[this.code];
  }
}

/** Whether waiting can't cure this error. Unknown errors count as permanent. */
export function isPermanent(error: unknown): boolean {
  return !(error instanceof LakebaseError) || error.permanent;
}

/** Node's codes for a server whose certificate, or TLS, it does not accept. */
export const TLS_FAULT =
  /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_SSL|ERR_TLS|HOSTNAME_MISMATCH|EPROTO/;
