import { ConfigurationError } from '../errors';

/** Where a branch begins in the past of its source. */
export type PointInTime = { time: Date } | { lsn: string };

const UNITS_MS: Record<string, number> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const DURATION = /^(\d+(?:\.\d+)?)([smhd])$/;
const LSN = /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i;
/** RFC 3339, to the end: a time without its zone means another one elsewhere. */
const TIME =
  /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/i;

/**
 * Reads how long something is to take, such as `7d`, `24h`, `90m` or `30s`.
 *
 * @returns milliseconds.
 * @throws ConfigurationError that names `option`.
 */
export function parseDuration(text: string, option: string): number {
  const [, count, unit] = DURATION.exec(text) ?? [];
  if (unit && Number(count) > 0) return Number(count) * UNITS_MS[unit];
  throw new ConfigurationError(
    `${option} '${text}' is no duration`,
    'Give a number and its unit, s, m, h or d, as in 7d or 90m',
  );
}

/**
 * Reads a moment: `-5m` (before now), a time of RFC 3339 with its zone, or a
 * place in the write-ahead log such as `0/16B3748`.
 *
 * @throws ConfigurationError that names `option`.
 */
export function parsePointInTime(
  text: string,
  option: string,
  nowMs: number,
): PointInTime {
  if (LSN.test(text)) return { lsn: text.toUpperCase() };
  if (text.startsWith('-')) {
    const agoMs = parseDuration(text.slice(1), option);
    return { time: new Date(nowMs - agoMs) };
  }
  const at = TIME.test(text) ? Date.parse(text.replace(' ', 'T')) : NaN;
  if (Number.isNaN(at)) {
    throw new ConfigurationError(
      `${option} '${text}' is no moment`,
      'Give one before now (-5m, -2h, -1d), a time with its zone ' +
        '(2026-11-27T14:03:00Z), or a place in the write-ahead log (0/16B3748)',
    );
  }
  if (at > nowMs) {
    throw new ConfigurationError(
      `${option} '${text}' is in the future`,
      `It is ${new Date(nowMs).toISOString()} now`,
    );
  }
  return { time: new Date(at) };
}
