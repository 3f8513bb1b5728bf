/**
 * A token this close to its end is not handed out any more: 30 s for a server
 * clock ahead of ours, 10 s for the TLS handshake and a slow login.
 */
const LOGIN_MARGIN_MS = 40_000;

/** A fifth of the life at most, or a 30 s token would be dead on arrival. */
export const loginMarginMs = (lifeMs: number) =>
  Math.min(LOGIN_MARGIN_MS, lifeMs / 5);

/** No two successful mints are closer than this, but for a refused token. */
export const MIN_GAP_MS = 30_000;

/** Half the life at most, or a short-lived token would be renewed too late. */
export const minGapMs = (lifeMs: number) => Math.min(MIN_GAP_MS, lifeMs / 2);

/**
 * Somewhere between a third and half of the life: replicas that started
 * together spread out, and an outage of half a life passes unnoticed.
 */
export const refreshDelayMs = (lifeMs: number, random: number) =>
  Math.max(lifeMs / 3 + (random * lifeMs) / 6, minGapMs(lifeMs));

const BACKOFF_BASE_MS = 1_000;
const BACKOFF_CAP_MS = 60_000;

/** While a connection waits, it should not outwait the end of an outage. */
export const BACKOFF_CAP_WITH_WAITERS_MS = 5_000;

/**
 * Full jitter over 1, 2, 4, ... 32, 60 s; with waiters over 1, 2, 4, 5 s. A
 * pause that the workspace asks for is added. It asks all replicas for the same
 * pause, so the jitter then spans at least half of it.
 */
export function backoffMs(
  failures: number,
  waiters: boolean,
  random: number,
  askedMs = 0,
) {
  const cap = waiters ? BACKOFF_CAP_WITH_WAITERS_MS : BACKOFF_CAP_MS;
  const rangeMs = Math.min(cap, BACKOFF_BASE_MS * 2 ** (failures - 1));
  const askedRangeMs = Math.min(askedMs, BACKOFF_CAP_MS) / 2;
  return askedMs + random * Math.max(rangeMs, askedRangeMs);
}

const REFUSAL_RETRY_MS = 5 * 60_000;

/** A refused identity is cured by people, so in minutes: 2.5 to 5 of them. */
export const refusalRetryMs = (random: number) =>
  (REFUSAL_RETRY_MS * (1 + random)) / 2;

/** Callers share a refusal for this long; the next call may mint again. */
export const REFUSAL_SHARED_MS = 15_000;
