import { showControls } from '../texts';

/** Shorter parts are in other texts as well. */
const MIN_PART_LENGTH = 16;

/** What node-postgres makes of the fields of an error. */
const TEXTS = ['message', 'stack', 'detail', 'hint', 'where'] as const;

/**
 * A login's error without the token that it was refused for, whole or in parts
 * as a JWT has them, in case the server repeats it; and without what would
 * speak to a terminal.
 */
export function withoutToken(error: unknown, token: string): unknown {
  if (!(error instanceof Error)) return error;
  const secrets = [token, ...token.split('.')].filter(
    part => part.length >= MIN_PART_LENGTH,
  );
  const texts = error as Partial<Record<(typeof TEXTS)[number], unknown>>;
  for (const name of TEXTS) {
    const text = texts[name];
    if (typeof text !== 'string') continue;
    const shown = secrets.reduce(
      (rest, secret) => rest.replaceAll(secret, '***'),
      text,
    );
    texts[name] = name === 'stack' ? shown : showControls(shown);
  }
  return error;
}
