import { EventEmitter, once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { routeOf, type Route } from './routes';

export interface Call {
  /** Absent: a path that the API does not know. */
  route?: Route;
  method: string;
  path: string;
  /** Absent: none was given. */
  query?: Record<string, string>;
  at: number;
  /** Absent: not answered. */
  status?: number;
  /** `Basic` or `Bearer`; never what follows. */
  authorization?: string;
  /** Whose token it came with. */
  caller?: string;
  body?: Record<string, unknown>;
}

const SECRET = /secret|token|assertion|password/i;

/** Every call of the control plane, in order, without the secrets in it. */
export class CallLog {
  readonly calls: Call[] = [];
  readonly #events = new EventEmitter();

  add(
    request: IncomingMessage,
    url: URL,
    body: string,
    { at, caller }: Pick<Call, 'at' | 'caller'>,
  ): Call {
    const { pathname: path, search, searchParams } = url;
    const method = request.method!;
    const call: Call = {
      route: routeOf(method, path),
      method,
      path,
      query: search ? Object.fromEntries(searchParams) : undefined,
      at,
      authorization: request.headers.authorization?.split(' ')[0],
      caller,
      body: withoutSecrets(parseBody(request, body)),
    };
    this.calls.push(call);
    if (call.route) this.#events.emit(`received ${call.route}`, call);
    return call;
  }

  answered(call: Call, status: number): void {
    call.status = status;
    if (call.route) this.#events.emit(`answered ${call.route}`, call);
  }

  async next(route: Route, event: 'received' | 'answered'): Promise<Call> {
    const [call] = (await once(this.#events, `${event} ${route}`)) as [Call];
    return call;
  }
}

export function parseBody(
  request: IncomingMessage,
  body: string,
): Record<string, unknown> | undefined {
  if (!body) return undefined;
  if (request.headers['content-type']?.startsWith('application/x-www-form'))
    return Object.fromEntries(new URLSearchParams(body));
  try {
    return JSON.parse(body) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function withoutSecrets(body?: Record<string, unknown>) {
  if (!body) return undefined;
  return Object.fromEntries(
    Object.entries(body).filter(([name]) => !SECRET.test(name)),
  );
}
