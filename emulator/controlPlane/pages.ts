import { ApiError } from './apiError';

/** One page of a list: as many as asked for, but never more than `limit`. */
export function page(
  entries: object[],
  field: string,
  query: URLSearchParams,
  limit: number,
): object {
  const asked = Number(query.get('page_size') ?? 0);
  if (!Number.isInteger(asked) || asked < 0)
    throw new ApiError(400, 'Invalid page_size');
  const start = startOf(query.get('page_token'));
  const end = start + Math.min(asked || limit, limit);
  return {
    [field]: entries.slice(start, end),
    ...(end < entries.length && { next_page_token: tokenOf(end) }),
  };
}

// Nobody is to count on what is in a page token.
const tokenOf = (start: number) =>
  Buffer.from(`page:${start}`).toString('base64url');

function startOf(token: string | null): number {
  if (!token) return 0;
  const text = Buffer.from(token, 'base64url').toString();
  const start = /^page:(\d+)$/.exec(text)?.[1];
  if (!start) throw new ApiError(400, 'Invalid page_token');
  return Number(start);
}
