import { ApiError } from './apiError';

/** What the API does not know it refuses. */
export function checkFields(given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find(name => !known.includes(name));
  if (unknown) throw new ApiError(400, `Unknown field '${unknown}'`);
}
