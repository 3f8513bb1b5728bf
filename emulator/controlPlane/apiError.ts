import { randomBytes, randomUUID } from 'node:crypto';
import type { Reply } from './reply';

const CODES: Record<number, string> = {
  400: 'INVALID_PARAMETER_VALUE',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  429: 'REQUEST_LIMIT_EXCEEDED',
  500: 'INTERNAL_ERROR',
  502: 'TEMPORARILY_UNAVAILABLE',
  503: 'TEMPORARILY_UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** A refusal in the words of the REST API. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly #metadata?: object;

  constructor(
    status: number,
    message = `Emulated HTTP ${status}`,
    code = CODES[status] ?? 'UNKNOWN',
    metadata?: object,
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.#metadata = metadata;
  }

  get reply(): Reply {
    return {
      status: this.status,
      body: {
        error_code: this.code,
        message: `${this.message} [TraceId: ${randomBytes(16).toString('hex')}]`,
        details: [
          ...(this.#metadata
            ? [
                {
                  '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
                  metadata: this.#metadata,
                },
              ]
            : []),
          {
            '@type': 'type.googleapis.com/google.rpc.RequestInfo',
            request_id: randomUUID(),
            serving_data: '',
          },
        ],
      },
    };
  }
}

/** A refusal in the words of RFC 6749, as the OAuth URL gives them. */
export class OAuthError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(
    status: number,
    code = OAUTH_CODES[status] ?? 'server_error',
    description = `Emulated HTTP ${status}`,
  ) {
    super(description);
    this.status = status;
    this.code = code;
  }

  get reply(): Reply {
    return {
      status: this.status,
      body: { error: this.code, error_description: this.message },
    };
  }
}

const OAUTH_CODES: Record<number, string> = {
  400: 'invalid_request',
  401: 'invalid_client',
  429: 'temporarily_unavailable',
  503: 'temporarily_unavailable',
};
