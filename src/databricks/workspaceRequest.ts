import { LakebaseError, TLS_FAULT } from '../errors';
import type { Clock } from '../time/clock';
import { CutShort, oneAttempt } from './oneAttempt';
import { findUnverified } from './verification';
import type { RequestSubject } from './refusalRule';
import { explainRefusal } from './workspaceErrors';
import { invalidReply } from './workspaceReply';

export interface WorkspaceRequest {
  /** Origin of the server, as `https://host[:port]`. */
  host: string;
  path: string;
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  headers?: Record<string, string>;
  body?: string;
  subject: RequestSubject;
  clock: Clock;
  signal?: AbortSignal;
  /** Of the reply, unpacked. */
  maxBytes?: number;
}

/** A reply with any status but a redirect. */
export interface WorkspaceResponse {
  status: number;
  headers: Headers;
  body: string;
  /** The server's own time, if the reply carries it. */
  serverTimeMs?: number;
}

/** A reply of the API. */
export interface WorkspaceReply {
  reply: unknown;
  serverTimeMs?: number;
  /** Which workspace answered. */
  workspaceId?: string;
}

/**
 * Makes one attempt to call the workspace, or who else speaks HTTP.
 *
 * @returns the parsed JSON reply, and the server's own time if the reply carries it.
 * @throws LakebaseError for all else, without anything of what was sent.
 */
export async function callWorkspace(
  request: WorkspaceRequest,
): Promise<WorkspaceReply> {
  const { host } = request;
  const response = await sendRequest(request);
  const { status, headers, body, serverTimeMs } = response;
  if (status < 200 || status > 299) {
    throw explainRefusal(response, request.subject, request.clock.wall());
  }
  if (secretsIn(request).some(secret => body.includes(secret))) {
    throw invalidReply(
      'it repeats what it was sent',
      host,
      request.subject.action,
    );
  }
  const workspaceId = headers.get('x-databricks-org-id') ?? undefined;
  return { reply: parse(body, request), serverTimeMs, workspaceId };
}

/**
 * What a reply must not repeat: a name in it may be logged. As it is sent, and
 * as it reads once it is decoded.
 */
function secretsIn({ headers, body }: WorkspaceRequest): string[] {
  const [scheme, sent = ''] = headers?.authorization?.split(' ') ?? [];
  const [, password = ''] =
    scheme === 'Basic' ? Buffer.from(sent, 'base64').toString().split(':') : [];
  const subject = new URLSearchParams(body).get('subject_token') ?? '';
  return [sent, decodeURIComponent(password), subject].filter(
    secret => secret.length >= MIN_SECRET_LENGTH,
  );
}

/**
 * Sends a request over verified TLS, and follows no redirect.
 *
 * @throws LakebaseError without anything of what was sent.
 */
export async function sendRequest(
  request: Omit<WorkspaceRequest, 'subject'> & { subject: Addressee },
): Promise<WorkspaceResponse> {
  const { host, subject, maxBytes = MAX_BODY_BYTES } = request;
  const unverified = findUnverified(host);
  if (unverified) {
    throw new LakebaseError('workspace-untrusted', {
      problem: `Nothing is sent to ${host} while ${unverified} lets any certificate pass`,
      remedy:
        'Remove it; with a private CA or an inspecting proxy, start Node with ' +
        'NODE_EXTRA_CA_CERTS',
    });
  }
  const response = await oneAttempt(
    async signal => {
      const answer = await fetch(host + request.path, {
        method: request.method ?? 'GET',
        headers: request.headers,
        body: request.body,
        redirect: 'manual',
        signal,
      });
      const { status, headers } = answer;
      return { status, headers, body: await readBody(answer, maxBytes) };
    },
    (error, cutShort) => explainFailure(error, cutShort, host, subject),
    request,
  );
  if (response.status >= 300 && response.status < 400) {
    throw new LakebaseError('workspace-redirected', {
      problem:
        `${host} answered with a redirect (HTTP ${response.status}), which is ` +
        'not followed, since a secret would travel along',
      remedy:
        `Check ${subject.hostKey}, and whether the workspace is reachable ` +
        'through private link only',
    });
  }
  const date = Date.parse(response.headers.get('date') ?? '');
  return { ...response, ...(!Number.isNaN(date) && { serverTimeMs: date }) };
}

/** Unpacked: some hundred times what a reply of the API has. */
const MIB = 1024 * 1024;
const MAX_BODY_BYTES = MIB;

/** A shorter one would be found by chance. */
const MIN_SECRET_LENGTH = 8;

class TooLargeError extends Error {
  constructor(readonly maxBytes: number) {
    super();
  }
}

/** Reads no more than is allowed, however small it is while packed. */
async function readBody({ body }: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels what has not come yet.
  const stream = body as AsyncIterable<Uint8Array> | null;
  for await (const chunk of stream ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw new TooLargeError(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

type Addressee = Pick<RequestSubject, 'action' | 'hostKey'>;

function explainFailure(
  error: unknown,
  cutShort: CutShort,
  host: string,
  { action, hostKey }: Addressee,
) {
  // fetch hides what happened in the cause of a TypeError.
  const cause = (error as { cause?: { code?: unknown } }).cause;
  const code = typeof cause?.code === 'string' ? cause.code : undefined;
  if (code && TLS_FAULT.test(code)) {
    return new LakebaseError('workspace-untrusted', {
      problem:
        `The TLS certificate of ${host} could not be verified (${code}); ` +
        'nothing was sent',
      remedy:
        'With a private CA or an inspecting proxy, start Node with ' +
        `NODE_EXTRA_CA_CERTS; otherwise check ${hostKey}`,
    });
  }
  if (error instanceof TooLargeError) {
    return new LakebaseError('workspace-reply-invalid', {
      problem: `${host} answered with more than ${error.maxBytes / MIB} MB when asked to ${action}`,
      remedy: `Check ${hostKey}, and that no proxy answers in its place`,
    });
  }
  const reason = cutShort ?? code ?? 'network error';
  return new LakebaseError('workspace-unreachable', {
    problem: `${host} could not be reached to ${action} (${reason})`,
    remedy:
      `Check ${hostKey}, name resolution, and the outbound proxy, if there ` +
      'is one',
  });
}

function parse(body: string, { host, subject }: WorkspaceRequest): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // No cause: the parser quotes the body.
    throw new LakebaseError('workspace-reply-invalid', {
      problem:
        `${host} answered with something else than JSON when asked to ` +
        subject.action,
      remedy:
        `Check that ${subject.hostKey} is right, and that no proxy or login ` +
        'page answers in its place',
    });
  }
}
