import { LakebaseError } from '../errors';
import { BRANCH_RULES } from './branchRefusals';
import type { RefusalRule, RequestSubject } from './refusalRule';
import { STATEMENT_RULES } from './statementRefusals';

/** The longest that we let the workspace put us off. */
const RETRY_AFTER_CAP_MS = 5 * 60_000;

const endpointDoubts = (s: RequestSubject) =>
  `${s.endpointKey} (${s.endpoint}): it may be misspelt, lie in another ` +
  `workspace than ${s.workspaceHost}, or be hidden from ${s.who}, who needs ` +
  `CAN USE on the project; ${otherKind(s)}`;

/** Projects and instances are easily taken for one another. */
const otherKind = ({ endpoint, endpointKind }: RequestSubject) =>
  endpointKind === 'instance'
    ? 'if it is a project of Autoscaling, set ' +
      `backend.database.lakebase.endpoint: projects/${endpoint} instead`
    : 'if it is an instance of Provisioned, set ' +
      'backend.database.lakebase.instance instead';

/** All that is known of refusals, to be corrected in one place. */
const RULES: RefusalRule[] = [
  {
    code: 'permission-denied',
    text: /blocked by Databricks IP ACL/i,
    errorCodes: [],
    statuses: [],
    remedy: s =>
      'Add the address under which this host goes out to the IP access list ' +
      `of ${s.workspaceHost}`,
  },
  {
    code: 'permission-not-propagated',
    errorCodes: ['PERMISSION_NOT_PROPAGATED'],
    statuses: [],
    remedy: s =>
      'A grant has not reached every part of the workspace yet; this is retried ' +
      `automatically; if that lasts, give ${s.who} CAN USE on the Lakebase ` +
      `project of ${s.endpoint} again`,
  },
  {
    code: 'client-refused',
    surfaces: ['client'],
    errorCodes: ['invalid_client', 'unauthorized_client'],
    statuses: [401, 403],
    remedy: s =>
      `${s.identityRemedy}. With HTTP 403 it may be the workspace's IP access ` +
      'list that keeps this host out',
  },
  {
    code: 'client-refused',
    surfaces: ['exchange'],
    errorCodes: [
      'invalid_client',
      'unauthorized_client',
      'invalid_grant',
      'invalid_request',
      'invalid_target',
      'access_denied',
    ],
    statuses: [400, 401, 403],
    remedy: s => s.identityRemedy,
  },
  {
    code: 'access-token-refused',
    surfaces: ['api', 'self', 'branches', 'statements'],
    errorCodes: ['UNAUTHENTICATED', 'INVALID_ACCESS_TOKEN'],
    statuses: [401],
    remedy: s =>
      s.identityRemedy +
      (s.workspaceId
        ? ''
        : `. If ${s.workspaceHost} serves several workspaces, add the id of ` +
          `this one to ${s.hostKey}, as in https://host/?o=1234567890, or set ` +
          'DATABRICKS_WORKSPACE_ID'),
  },
  {
    code: 'permission-denied',
    surfaces: ['self'],
    errorCodes: ['PERMISSION_DENIED', 'NOT_FOUND', 'RESOURCE_DOES_NOT_EXIST'],
    statuses: [400, 403, 404],
    remedy: () =>
      'Set backend.database.connection.user to the login name, which makes ' +
      'this look-up unnecessary',
  },
  {
    code: 'permission-denied',
    surfaces: ['api'],
    errorCodes: ['PERMISSION_DENIED', 'CUSTOMER_UNAUTHORIZED'],
    statuses: [403],
    remedy: s =>
      `Give ${s.who} CAN USE on the Lakebase project ` +
      `of ${s.endpoint}, and check that the workspace's IP access list lets ` +
      'this host in and that the workspace lets service principals mint ' +
      'database credentials',
  },
  {
    code: 'endpoint-not-found',
    surfaces: ['api'],
    errorCodes: ['FEATURE_DISABLED'],
    statuses: [],
    remedy: s =>
      `Enable Lakebase in ${s.workspaceHost} as its administrator; where it ` +
      `is enabled, check ${endpointDoubts(s)}`,
  },
  {
    code: 'endpoint-not-found',
    surfaces: ['api'],
    errorCodes: ['NOT_FOUND', 'RESOURCE_DOES_NOT_EXIST', 'ENDPOINT_NOT_FOUND'],
    statuses: [404],
    remedy: s => `Check ${endpointDoubts(s)}`,
  },
  ...BRANCH_RULES,
  ...STATEMENT_RULES,
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
      'QUOTA_EXCEEDED',
      'RESOURCE_LIMIT_EXCEEDED',
    ],
    statuses: [408, 409, 425, 429, 500, 502, 503, 504],
    remedy: s =>
      'This is retried automatically; if that lasts, see the status page of ' +
      `${s.party} and its limits and quotas, or raise ` +
      'backend.database.lakebase.connectTimeout',
  },
  {
    code: 'request-invalid',
    surfaces: ['api'],
    errorCodes: ['BAD_REQUEST', 'INVALID_PARAMETER_VALUE', 'INVALID_STATE'],
    statuses: [400],
    remedy: s =>
      `Check ${s.endpointKey} (${s.endpoint}) and ` +
      'backend.database.lakebase.credential.lifetime (5 minutes to 1 hour)',
  },
];

/** Turns a reply that is not a success into an error with a remedy. */
export function explainRefusal(
  response: { status: number; headers: Headers; body: string },
  subject: RequestSubject,
  /** By our clock, in case the reply carries no time. */
  nowMs: number,
): LakebaseError {
  const { body } = response;
  const { errorCode, references } = readErrorBody(body);
  const rules = RULES.filter(
    ({ surfaces }) => surfaces?.includes(subject.surface) ?? true,
  );
  const rule =
    rules.find(r => r.text?.test(body)) ??
    rules.find(r => errorCode && r.errorCodes.includes(errorCode)) ??
    rules.find(r => r.statuses.includes(response.status));
  const saw = [`HTTP ${response.status}`, errorCode, ...references]
    .filter(Boolean)
    .join(', ');
  return new LakebaseError(
    rule?.code ??
      (response.status >= 500 ? 'workspace-busy' : 'request-invalid'),
    {
      problem: `${subject.party} refused to ${subject.action} (${saw})`,
      remedy:
        rule?.remedy(subject) ??
        `Check ${subject.hostKey} (${subject.workspaceHost}): it may not be a Databricks workspace`,
    },
    { retryAfterMs: readRetryAfter(response.headers, nowMs) },
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
function readRetryAfter(headers: Headers, nowMs: number): number | undefined {
  const value = headers.get('retry-after') ?? '';
  let ms: number | undefined;
  if (/^\d+$/.test(value)) {
    ms = Number(value) * 1000;
  } else if (HTTP_DATE.test(value)) {
    const date = headers.get('date');
    ms = Date.parse(value) - (date ? Date.parse(date) : nowMs);
  }
  return ms !== undefined && ms >= 0
    ? Math.min(ms, RETRY_AFTER_CAP_MS)
    : undefined;
}
