import { isObject } from 'lodash';
import { isLoopback } from './loopback';

/** Where Node and undici keep what `fetch` sends with; a version follows. */
const DISPATCHER = 'undici.globalDispatcher.';

/** From a dispatcher to those that it hands over to, and to their settings. */
const DEPTH = 4;

/**
 * What, if anything, makes requests to this origin accept any certificate. To be
 * asked at every call: a plugin may turn verification off for the process.
 */
export function findUnverified(origin: string): string | undefined {
  const { protocol, hostname } = new URL(origin);
  if (protocol === 'http:' || isLoopback(hostname)) return undefined;
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    return 'NODE_TLS_REJECT_UNAUTHORIZED=0';
  }
  const dispatchers = Object.getOwnPropertySymbols(globalThis)
    .filter(({ description }) => description?.startsWith(DISPATCHER))
    .map(symbol => (globalThis as Record<symbol, unknown>)[symbol]);
  return dispatchers.some(dispatcher => isLoose(dispatcher, DEPTH))
    ? 'a global dispatcher of undici with rejectUnauthorized: false'
    : undefined;
}

/** undici keeps settings behind symbols, those of proxies one level deeper. */
function isLoose(value: unknown, depth: number): boolean {
  if (!isObject(value) || depth === 0) return false;
  const { rejectUnauthorized, connect, options } = value as Record<
    string,
    unknown
  >;
  return (
    rejectUnauthorized === false ||
    [connect, options].some(it => isLoose(it, depth - 1)) ||
    Object.getOwnPropertySymbols(value).some(symbol =>
      isLoose((value as Record<symbol, unknown>)[symbol], depth - 1),
    )
  );
}
