import { LakebaseError, LakebaseErrorCode } from '../errors';

/** The longest that we let the workspace put us off. */
const RETRY_AFTER_CAP_MS = 5 * 60_000;

/** What a refusal is about, to name the settings and grants behind it. */
export interface RequestSubject {
  /** What was attempted, as it reads after "Databricks refused to". */
  action: string;
  /** Who asked. */
  identity: string;
  /** Where the client id and secret came from. */
  identityKeys: string;
  endpoint: string;
  /** Where the endpoint came from. */
  endpointKey: string;
  workspaceHost: string;
  /** Where the workspace's host came from. */
  hostKey: string;
  /** The OAuth token URL, or the API proper. */
  surface: 'oauth' | 'api';
}

interface Rule {
  code: LakebaseErrorCode;
  /** On this surface only. */
  surface?: RequestSubject['surface'];
  /** The API's own codes decide first, the HTTP status only without one. */
  errorCodes: string[];
  statuses: number[];
  remedy(subject: RequestSubject): string;
}

const checkClient = (s: RequestSubject) =>
  `Check ${s.identityKeys}: the secret may be wrong, expired or revoked, or ` +
  `belong to another workspace than ${s.workspaceHost}`;

/** All that is known of the workspace's refusals, to be corrected in one place. */
const RULES: Rule[] = [
  {
    code: 'permission-not-propagated',
    errorCodes: ['PERMISSION_NOT_PROPAGATED'],
    statuses: [],
    remedy: () => 'A grant has not reached every part of the workspace yet',
  },
  {
    code: 'client-refused',
    surface: 'oauth',
    errorCodes: ['invalid_client', 'unauthorized_client'],
    statuses: [401, 403],
    remedy: s =>
      `${checkClient(s)}. With HTTP 403 it may be the workspace's IP access ` +
      'list that keeps this host out',
  },
  {
    code: 'access-token-refused',
    surface: 'api',
    errorCodes: ['UNAUTHENTICATED', 'INVALID_ACCESS_TOKEN'],
    statuses: [401],
    remedy: checkClient,
  },
  {
    code: 'permission-denied',
    surface: 'api',
    errorCodes: ['PERMISSION_DENIED', 'CUSTOMER_UNAUTHORIZED'],
    statuses: [403],
    remedy: s =>
      `Give service principal ${s.identity} CAN USE on the Lakebase project ` +
      `of ${s.endpoint}, and check that the workspace's IP access list lets ` +
      'this host in and that the workspace lets service principals mint ' +
      'database credentials',
  },
  {
    code: 'endpoint-not-found',
    surface: 'api',
    errorCodes: [
      'NOT_FOUND',
      'RESOURCE_DOES_NOT_EXIST',
      'ENDPOINT_NOT_FOUND',
      'FEATURE_DISABLED',
    ],
    statuses: [404],
    remedy: s =>
      `Check ${s.endpointKey} (${s.endpoint}): it may be ` +
      `misspelt, lie in another workspace than ${s.workspaceHost}, or be ` +
      `hidden from service principal ${s.identity}, who needs CAN USE on ` +
      'the project',
  },
  {
    code: 'workspace-busy',
    errorCodes: [
      'REQUEST_LIMIT_EXCEEDED',
      'RESOURCE_EXHAUSTED',
      'INTERNAL_ERROR',
      'UNKNOWN',
      'TEMPORARILY_UNAVAILABLE',
      'UNAVAILABLE',
      'WORKSPACE_TEMPORARILY_UNAVAILABLE',
      'SERVICE_UNDER_MAINTENANCE',
      'DEADLINE_EXCEEDED',
      'ABORTED',
      'COULD_NOT_ACQUIRE_LOCK',
    ],
    statuses: [408, 409, 425, 429, 500, 502, 503, 504],
    remedy: () => 'It is tried again by itself',
  },
  {
    code: 'request-invalid',
    surface: 'api',
    errorCodes: ['BAD_REQUEST', 'INVALID_PARAMETER_VALUE', 'INVALID_STATE'],
    statuses: [400],
    remedy: s =>
      `Check ${s.endpointKey} (${s.endpoint}) and ` +
      'backend.database.lakebase.credential.lifetime (5 minutes to 1 hour)',
  },
];

/** Turns a reply that is not a success into an error with a remedy. */
export function refusalOf(
  response: { status: number; headers: Headers },
  body: string,
  subject: RequestSubject,
): LakebaseError {
  const { errorCode, references } = readErrorBody(body);
  const rules = RULES.filter(
    r => (r.surface ?? subject.surface) === subject.surface,
  );
  const rule =
    rules.find(r => errorCode && r.errorCodes.includes(errorCode)) ??
    rules.find(r => r.statuses.includes(response.status));
  const saw = [`HTTP ${response.status}`, errorCode, ...references]
    .filter(Boolean)
    .join(', ');
  return new LakebaseError(
    rule?.code ??
      (response.status >= 500 ? 'workspace-busy' : 'request-invalid'),
    {
      message: `Databricks refused to ${subject.action} (${saw}). ${
        rule?.remedy(subject) ??
        `Check that ${subject.hostKey} (${subject.workspaceHost}) is a Databricks workspace`
      }`,
      retryAfterMs: retryAfterMs(response.headers),
    },
  );
}

/**
 * Only what has the look of a code or an id is taken from a body, since its
 * texts may repeat what we sent: tokens and secrets hold digits, codes do not,
 * and are not written like these ids.
 */
function readErrorBody(body: string): {
  errorCode?: string;
  references: string[];
} {
  const requestId =
    /"request_id"\s*:\s*"([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})"/i.exec(
      body,
    )?.[1];
  const traceId = /TraceId: ([\da-f]{16,64})\b/i.exec(body)?.[1];
  return {
    errorCode:
      /"(?:error_code|error)"\s*:\s*"([a-z_]{3,64})"/i.exec(body)?.[1] ??
      /^([A-Z_]{3,64}):/.exec(body)?.[1],
    references: [
      ...(requestId ? [`request id ${requestId}`] : []),
      ...(traceId ? [`trace id ${traceId}`] : []),
    ],
  };
}

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT$/;

/** `Retry-After` is in seconds or an HTTP date. */
function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get('retry-after') ?? '';
  let ms: number | undefined;
  if (/^\d+$/.test(value)) {
    ms = Number(value) * 1000;
  } else if (HTTP_DATE.test(value)) {
    const date = headers.get('date');
    ms = Date.parse(value) - (date ? Date.parse(date) : Date.now());
  }
  return ms !== undefined && ms >= 0
    ? Math.min(ms, RETRY_AFTER_CAP_MS)
    : undefined;
}
