import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { plainName } from '../../branches/branchName';
import { createBranch, type MadeBranch } from '../../branches/createBranch';
import { LakebaseError } from '../../errors';
import type { Project } from '../branch/project';
import { showSteps } from '../branch/steps';
import type { Terminal } from '../terminal';

const TTL_MS = 7 * 86_400_000;

/** Of the 63 letters of a branch's name. */
const MAX_RELEASE = 30;

/**
 * Makes a branch of now, for the case that all else fails. One of the same
 * release and day is kept: the same command may have been interrupted, and it
 * is the state before that is wanted.
 *
 * @throws LakebaseError that says how to do without.
 */
export async function makeRestorePoint(
  project: Project,
  backend: string,
  terminal: Terminal,
): Promise<MadeBranch> {
  const { clock, error } = terminal;
  const day = new Date(clock.wall()).toISOString().slice(0, 10);
  const release = plainName(await releaseOf(backend)).slice(0, MAX_RELEASE);
  const id = `restore-${release}-${day}`;
  const { api, configured } = project;
  try {
    const { step } = showSteps(terminal);
    const made = await createBranch(
      api,
      { id, source: configured, configured, ttlMs: TTL_MS, replace: false },
      { clock, step, onMaking: () => {} },
    );
    error(
      `${made.branch.name} ${made.created ? 'is the restore point' : 'is the restore point of an earlier try'}` +
        (made.branch.expiresAt
          ? `, until ${made.branch.expiresAt.toISOString()}`
          : ''),
    );
    return made;
  } catch (failure) {
    if (!(failure instanceof LakebaseError)) throw failure;
    const { problem, remedy, statements } = failure.explanation;
    throw new LakebaseError(
      failure.code,
      {
        problem: `There is no restore point, and nothing was changed: ${problem}`,
        remedy: `${remedy ? `${remedy}; or do` : 'Do'} without: --no-restore-point`,
        statements,
      },
      { cause: failure },
    );
  }
}

/** How a portal goes back to it, and what that costs. */
export const wayBackTo = (
  project: Project,
  { endpoint, host }: MadeBranch,
): string =>
  [
    'To go back to the restore point, start the older version with this on top of its configuration;',
    'whatever was written since is not there:',
    stringify(project.overlay(endpoint, host)).trimEnd(),
  ].join('\n');

/** Of Backstage, where the repository says so; else of the backend. */
async function releaseOf(backend: string): Promise<string> {
  let folder = resolve(backend);
  for (;;) {
    const version = await versionIn(join(folder, 'backstage.json'));
    if (version !== undefined) return version;
    if (dirname(folder) === folder) break;
    folder = dirname(folder);
  }
  return (await versionIn(join(backend, 'package.json'))) ?? 'unknown';
}

async function versionIn(file: string): Promise<string | undefined> {
  try {
    const { version } = JSON.parse(await readFile(file, 'utf8')) as {
      version?: string;
    };
    return version;
  } catch {
    return undefined;
  }
}
