import { ConfigurationError } from '../errors';
import { EXIT } from './exitCodes';
import { openAccess } from './openAccess';
import type { Terminal } from './terminal';

export interface TokenOptions {
  config?: string[];
  json: boolean;
  plugin?: string;
  yes: boolean;
}

/** The workspace reports its time in whole seconds, rounded down. */
const ROUNDED_UP_MS = 1_000;

/**
 * Shows a fresh database credential. A script has to ask for it outright, since
 * what a pipe leads to may keep it.
 */
export async function token(
  options: TokenOptions,
  terminal: Terminal,
): Promise<number> {
  if (!terminal.interactive && !options.yes) {
    throw new ConfigurationError(
      'The output is not a terminal, and whoever reads the credential there ' +
        'can log in for up to an hour',
      'Say --yes if that is meant',
    );
  }
  const access = await openAccess(options.config, terminal, options.plugin);
  try {
    const askedAt = terminal.clock.wall();
    const { token: credential, lifeMs } = await access.credential();
    // By the clock of this machine, whose scripts compare it with theirs.
    const end = askedAt + lifeMs - ROUNDED_UP_MS;
    const expires = new Date(end).toISOString();
    if (options.json) {
      terminal.out(JSON.stringify({ version: 1, token: credential, expires }));
    } else {
      terminal.out(credential);
      terminal.error(`Expires ${expires}`);
    }
    return EXIT.ok;
  } finally {
    await access.close();
  }
}
