import { stripVTControlCharacters } from 'node:util';

/** Tokens and secrets as Databricks makes them, and whatever is as opaque. */
const SECRET =
  /\b(?:eyJ|dapi|dose)[\w.=-]+|(?=\S*\d)(?=\S*[a-z])[\w+/=-]{32,}/gi;

const MAX_LENGTH = 300;

/**
 * What a tool wrote, fit for an error message: on one line, not too long,
 * without control characters, and without anything that may be a secret.
 */
export const quoteOutput = (text: string): string =>
  stripVTControlCharacters(text)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replace(SECRET, '***')
    .trim()
    .slice(0, MAX_LENGTH);
