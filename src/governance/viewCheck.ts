import { escapeIdentifier } from 'pg';
import { onOneLine } from '../texts';
import { VIEWS } from './views';

/** A database of a copy. */
interface Session {
  /** @throws whatever Postgres has to say. */
  rows<T extends object>(sql: string, values?: unknown[]): Promise<T[]>;
}

/** What each view shows: how many rows, or why none. */
export type ViewCounts = Map<string, number | string>;

const FOUND = `
  SELECT c.relname AS name FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relkind = 'v' ORDER BY 1`;

/** Reads the flat views of a database through, if it has them. */
export async function countViews(session: Session): Promise<ViewCounts> {
  const counts: ViewCounts = new Map();
  for (const { name } of await session.rows<{ name: string }>(FOUND, [VIEWS])) {
    const view = `${VIEWS}.${escapeIdentifier(name)}`;
    try {
      // Of the rows themselves: to count them, Postgres need not make them.
      const [{ count }] = await session.rows<{ count: number }>(
        `SELECT count(v::text)::float8 AS count FROM ${view} v`,
      );
      counts.set(name, count);
    } catch (error) {
      counts.set(name, onOneLine(error));
    }
  }
  return counts;
}

/** Views that answered before and do so no more, or show less, in words. */
export function brokenViews(before: ViewCounts, after: ViewCounts): string[] {
  return [...before].flatMap(([name, was]) => {
    if (typeof was === 'string') return [];
    const is = after.get(name);
    const view = `${VIEWS}.${name}`;
    if (is === undefined) return [`${view} is gone`];
    if (typeof is === 'string') return [`${view}: ${is}`];
    return is < was ? [`${view} shows ${is} rows, not ${was}`] : [];
  });
}
