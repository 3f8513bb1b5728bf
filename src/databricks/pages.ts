import { LakebaseError } from '../errors';

/** One page of a list, and what asks for the next one. */
export interface Page<T> {
  entries: readonly T[];
  next?: string;
}

/**
 * Reads a list to its end, page by page.
 *
 * @param what - What is listed, as it reads after "The list of".
 * @throws LakebaseError where the end does not come within `maxPages`.
 */
export async function readPages<T>(
  what: string,
  maxPages: number,
  readPage: (token: string | undefined) => Promise<Page<T>>,
): Promise<T[]> {
  const found: T[] = [];
  let token: string | undefined;
  for (let pages = 0; pages === 0 || token; pages++) {
    if (pages === maxPages) {
      throw new LakebaseError('workspace-reply-invalid', {
        problem: `The list of ${what} has no end`,
        remedy: 'Check that no proxy answers in place of the workspace',
      });
    }
    const { entries, next } = await readPage(token);
    found.push(...entries);
    token = next;
  }
  return found;
}
