import { LakebaseError, TLS_FAULT } from '../errors';
import { refusalOf, RequestSubject } from './workspaceErrors';

/** One attempt in all, from the name look-up to the last byte of the reply. */
const ATTEMPT_TIMEOUT_MS = 10_000;

export interface WorkspaceRequest {
  /** Origin of the workspace, as `https://host[:port]`. */
  host: string;
  path: string;
  method?: 'GET' | 'POST';
  headers: Record<string, string>;
  body?: string;
  subject: RequestSubject;
  signal?: AbortSignal;
}

/**
 * Makes one attempt to call the workspace.
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
    throw refusalOf(response, body, request.subject);
  }
  const date = Date.parse(response.headers.get('date') ?? '');
  return {
    reply: parse(body, request),
    serverTimeMs: Number.isNaN(date) ? undefined : date,
  };
}

async function attempt(
  request: WorkspaceRequest,
): Promise<{ response: Response; body: string }> {
  // Cleared at the end: a timer of AbortSignal.timeout would live on.
  const controller = new AbortController();
  const abort = () => controller.abort();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    abort();
  }, ATTEMPT_TIMEOUT_MS);
  timer.unref();
  request.signal?.addEventListener('abort', abort);
  if (request.signal?.aborted) abort();
  try {
    const response = await fetch(request.host + request.path, {
      method: request.method ?? 'GET',
      headers: request.headers,
      body: request.body,
      redirect: 'manual',
      signal: controller.signal,
    });
    return { response, body: await response.text() };
  } catch (error) {
    throw failureOf(error, timedOut, request);
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener('abort', abort);
  }
}

function failureOf(
  error: unknown,
  timedOut: boolean,
  { host, subject, signal }: WorkspaceRequest,
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
  const reason = timedOut
    ? `no reply within ${ATTEMPT_TIMEOUT_MS / 1000} s`
    : signal?.aborted
      ? 'the call was given up'
      : (code ?? 'network error');
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
        `${subject.action}. Check that ${subject.hostKey} is a ` +
        'workspace, and that no proxy or login page answers in its place',
    });
  }
}
