/**
 * Text of others (servers, tools, names in a database) as it may be shown:
 * control characters, and what else moves a cursor, become escapes, so that it
 * can neither forge a line nor speak to a terminal.
 */
export const showControls = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    character => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );

/** One argument of a command to paste into a shell. */
export const quoteForShell = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument)
    ? argument
    : `'${argument.replaceAll("'", "'\\''")}'`;

/** Far longer than what a server has to say. */
const MAX_LENGTH = 1_000;

/** As much of a server's text as is looked at: patterns take time with more. */
export const shortened = (text: string): string => text.slice(0, MAX_LENGTH);

/** The message of an error, for a line of a report. */
export const onOneLine = (error: unknown): string =>
  showControls(
    shortened(error instanceof Error ? error.message : String(error)).replace(
      /\s+/g,
      ' ',
    ),
  );
