import { delay } from '../delay';
import { ApiError, OAuthError } from './apiError';
import type { Reply } from './reply';
import type { Route } from './routes';

export type Fault =
  /** Without a body: the error body that the API has for this status. */
  | { status: number; headers?: Record<string, string>; body?: unknown }
  /** 200 with another body than the usual one. */
  | { body: unknown; headers?: Record<string, string> }
  /** The usual reply's body, changed. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as many shapes as routes
  | { change: (body: any) => unknown }
  /** The usual reply, late. */
  | { latencyMs: number }
  | { hang: true }
  | { reset: true };

export type Outcome = Reply | 'hang' | 'reset';

interface Scripted {
  fault: Fault;
  left: number;
}

/** Which fault answers the next call of which route. */
export class FaultScript {
  readonly #scripted = new Map<Route, Scripted[]>();

  /** Counted faults take their turns; one without an end, when a new one is given. */
  add(route: Route, fault: Fault, times: number): void {
    const waiting = (this.#scripted.get(route) ?? []).filter(
      ({ left }) => left !== Infinity,
    );
    this.#scripted.set(route, [...waiting, { fault, left: times }]);
  }

  clear(route?: Route): void {
    if (route) this.#scripted.delete(route);
    else this.#scripted.clear();
  }

  next(route: Route): Fault | undefined {
    const scripted = this.#scripted.get(route)?.find(({ left }) => left > 0);
    if (scripted) scripted.left -= 1;
    return scripted?.fault;
  }
}

export async function applyFault(
  route: Route,
  fault: Fault,
  usual: () => Promise<Reply>,
): Promise<Outcome> {
  if ('hang' in fault) return 'hang';
  if ('reset' in fault) return 'reset';
  if ('latencyMs' in fault) {
    await delay(fault.latencyMs);
    return usual();
  }
  if ('change' in fault) {
    const reply = await usual();
    return { ...reply, body: fault.change(reply.body) };
  }
  if (!('status' in fault)) return { status: 200, ...fault };
  if ('body' in fault) return fault;
  const error = new (route === 'token' ? OAuthError : ApiError)(fault.status);
  return { ...error.reply, headers: fault.headers };
}
