import { type Explanation, getExplanation, LakebaseError } from '../errors';
import { onOneLine } from '../texts';

/** What to show of an error that ends a check or a command. */
export function explainFailure(error: unknown): Explanation {
  if (!(error instanceof LakebaseError)) return getExplanation(error);
  const { code, cause } = error;
  // A deadline only says what it cut short.
  if (code === 'connect-timeout' && cause instanceof LakebaseError) {
    return explainFailure(cause);
  }
  const { explanation } = error;
  // No rule knew Postgres's text, so it is all there is.
  return code === 'database-error' && cause instanceof Error
    ? { ...explanation, problem: `${explanation.problem}: ${onOneLine(cause)}` }
    : explanation;
}
