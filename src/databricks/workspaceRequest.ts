import { LakebaseError, TLS_FAULT } from '../errors';
import type { Clock } from '../time/clock';
import { CutShort, oneAttempt } from './oneAttempt';
import { refusalOf, RequestSubject } from './workspaceErrors';

export interface WorkspaceRequest {
  /** Origin of the server, as `https://host[:port]`. */
  host: string;
  path: string;
  method?: 'GET' | 'POST';
  headers: Record<string, string>;
  body?: string;
  subject: RequestSubject;
  clock: Clock;
  signal?: AbortSignal;
}

/**
 * Makes one attempt to call the workspace, or who else speaks HTTP.
 *
 * @returns the parsed JSON reply, and the server's own time when it told it.
 * @throws LakebaseError for all else, without anything of what was sent.
 */
export async function workspaceRequest(
  request: WorkspaceRequest,
): Promise<{ reply: unknown; serverTimeMs?: number }> {
  const { response, body } = await attempt(request);

  if (response.status >= 300 && response.status < 400) {
    throw new LakebaseError('workspace-redirected', {
      message:
        `${request.host} answered with a redirect (HTTP ${response.status}), ` +
        'which is not followed, since a secret would travel along. Check ' +
        `${request.subject.hostKey}, and ` +
        'whether the workspace is reachable through private link only',
    });
  }
  if (!response.ok) {
    throw refusalOf(response, body, request.subject, request.clock.wall());
  }
  const date = Date.parse(response.headers.get('date') ?? '');
  return {
    reply: parse(body, request),
    serverTimeMs: Number.isNaN(date) ? undefined : date,
  };
}

function attempt(
  request: WorkspaceRequest,
): Promise<{ response: Response; body: string }> {
  return oneAttempt(
    async signal => {
      const response = await fetch(request.host + request.path, {
        method: request.method ?? 'GET',
        headers: request.headers,
        body: request.body,
        redirect: 'manual',
        signal,
      });
      return { response, body: await response.text() };
    },
    (error, cutShort) => failureOf(error, cutShort, request),
    request,
  );
}

function failureOf(
  error: unknown,
  cutShort: CutShort,
  { host, subject }: WorkspaceRequest,
) {
  // fetch hides what happened in the cause of a TypeError.
  const cause = (error as { cause?: { code?: unknown } }).cause;
  const code = typeof cause?.code === 'string' ? cause.code : undefined;
  if (code && TLS_FAULT.test(code)) {
    return new LakebaseError('workspace-untrusted', {
      message:
        `The TLS certificate of ${host} could not be verified (${code}); ` +
        'nothing was sent. With a private CA or an inspecting proxy, start ' +
        `Node with NODE_EXTRA_CA_CERTS; otherwise check ${subject.hostKey}`,
    });
  }
  const reason = cutShort ?? code ?? 'network error';
  return new LakebaseError('workspace-unreachable', {
    message:
      `${host} could not be reached to ${subject.action} (${reason}). Check ` +
      `${subject.hostKey}, ` +
      'name resolution, and the outbound proxy, if there is one',
  });
}

function parse(body: string, { host, subject }: WorkspaceRequest): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // No cause: the parser quotes the body.
    throw new LakebaseError('workspace-reply-invalid', {
      message:
        `${host} answered with something else than JSON when asked to ` +
        `${subject.action}. Check that ${subject.hostKey} is right, and that ` +
        'no proxy or login page answers in its place',
    });
  }
}
