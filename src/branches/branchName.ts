import { createHash } from 'node:crypto';
import { ConfigurationError } from '../errors';

/** What the platform makes of a name that it is given. */
const ID = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_LENGTH = 63;
const HASH_LENGTH = 8;

const PULL_REQUEST = /^ci-pr-[1-9]\d*$/;
const GIT = /^dev-/;

/** Whether a name is one that this tool gives by itself. */
export const isOurs = (id: string): boolean =>
  PULL_REQUEST.test(id) || GIT.test(id);

/** The number of the pull request that a branch was made for, if it was. */
export const pullRequestOf = (id: string): number | undefined =>
  PULL_REQUEST.test(id) ? Number(id.slice('ci-pr-'.length)) : undefined;

export const nameForPullRequest = (number: number): string => `ci-pr-${number}`;

/** As much of a text as may be in the name of a branch. */
export const plainName = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');

/**
 * A name after a git branch: no two of them share one, since a hash stands for
 * whatever had to be changed or cut.
 */
export function nameForGitBranch(branch: string): string {
  const plain = plainName(branch);
  const whole = `dev-${plain}`;
  if (plain === branch && whole.length <= MAX_LENGTH) return whole;
  const hash = createHash('sha256')
    .update(branch)
    .digest('hex')
    .slice(0, HASH_LENGTH);
  const stem = whole.slice(0, MAX_LENGTH - HASH_LENGTH - 1).replace(/-+$/, '');
  return `${stem}-${hash}`;
}

/**
 * A name that somebody gave.
 *
 * @throws ConfigurationError
 */
export function checkName(name: string): string {
  if (ID.test(name)) return name;
  throw new ConfigurationError(
    `'${name}' is no name of a branch`,
    `Take 1 to ${MAX_LENGTH} lower-case letters, digits and hyphens, with a ` +
      'letter first and no hyphen at the end',
  );
}
