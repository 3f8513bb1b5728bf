import { inSeconds } from './verdict';

const WAITS: [pattern: RegExp, why: string][] = [
  [
    /\bconcurrently\b/i,
    'waits for every transaction of the database that is open by then, those of other plugins, too',
  ],
  [
    /\bvalidate\s+constraint\b/i,
    'waits for other changes of the table to end, vacuum included',
  ],
  [
    /\block_timeout\b/i,
    'gives up when it cannot get its lock in time; the start fails then, and has to be tried again',
  ],
];

/**
 * Why a statement may take longer than on a copy, where nobody else is at work.
 *
 * @param longestMs - how old the oldest open transaction of production is;
 * undefined where there is none.
 */
export function notShownOf(
  sql: string,
  longestMs: number | undefined,
): string | undefined {
  const found = WAITS.filter(([pattern]) => pattern.test(sql));
  if (found.length === 0) return undefined;
  const now =
    longestMs === undefined
      ? 'production had none open'
      : `the oldest one of production was open for ${inSeconds(longestMs)}`;
  return `${found.map(([, why]) => why).join('; ')} (${now})`;
}
