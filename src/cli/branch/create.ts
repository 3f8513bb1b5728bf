import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import {
  checkName,
  nameForGitBranch,
  nameForPullRequest,
} from '../../branches/branchName';
import { createBranch, type MadeBranch } from '../../branches/createBranch';
import { parseDuration, parsePointInTime } from '../../branches/pointInTime';
import type { ScrubbedTable } from '../../branches/scrub';
import { ConfigurationError, LakebaseError } from '../../errors';
import { quoteForShell } from '../../texts';
import { EXIT } from '../exitCodes';
import { formatSpan } from '../table';
import type { Terminal } from '../terminal';
import { deleteAgain } from './deleteAgain';
import { inProject, type Project } from './project';
import { renderScrubbed } from './scrub';
import { scrubCopy } from './scrubCopy';
import { showSteps } from './steps';

export interface CreateOptions {
  config?: string[];
  from?: string;
  at?: string;
  ttl?: string;
  pr?: number;
  git: boolean;
  replace: boolean;
  scrub: boolean;
  allowUnknown?: string[];
  out: string;
  json: boolean;
}

const PULL_REQUEST_TTL = '24h';
const TTL = '7d';
const MAX_TTL_MS = 30 * 86_400_000;
const MIN_TTL_MS = 60_000;

/** Makes a copy of production that a portal can be started on. */
export async function create(
  given: string | undefined,
  options: CreateOptions,
  terminal: Terminal,
): Promise<number> {
  const id = await nameOf(given, options);
  const ttlMs = readTtl(options);
  const at =
    options.at === undefined
      ? undefined
      : parsePointInTime(options.at, '--at', terminal.clock.wall());
  return inProject(options.config, terminal, async (project, signal) => {
    let ours = false;
    try {
      const source = options.from
        ? (await project.branch(options.from)).name
        : project.configured;
      terminal.error(
        `${project.api.nameOf(id)}, from ${source}${options.at ? ` at ${options.at}` : ''}`,
      );
      const { step, taken } = showSteps(terminal);
      const { replace } = options;
      const { configured } = project;
      const request = { id, source, configured, at, ttlMs, replace };
      const made = await createBranch(project.api, request, {
        clock: terminal.clock,
        step,
        onMaking: now => (ours = now),
      });
      const scrubbed = options.scrub
        ? await step('scrub', () =>
            scrubCopy(project, source, made, {
              allowed: options.allowUnknown,
              signal,
            }),
          )
        : undefined;
      await writeOverlay(options.out, project, made);
      tell(terminal, options, { made, scrubbed, source, ttlMs, taken });
      return EXIT.ok;
    } catch (error) {
      if (ours) await tidyUp(options, terminal, id, error);
      throw error;
    }
  });
}

async function nameOf(
  given: string | undefined,
  { pr, git }: CreateOptions,
): Promise<string> {
  const ways = [given !== undefined, pr !== undefined, git].filter(Boolean);
  if (ways.length !== 1) {
    throw new ConfigurationError(
      ways.length === 0
        ? 'The branch has no name'
        : 'The branch would have several names',
      'Give a name, or --pr with the number of a pull request, or --git to ' +
        'name it after the git branch; one of them',
    );
  }
  if (given !== undefined) return checkName(given);
  return pr !== undefined
    ? nameForPullRequest(pr)
    : nameForGitBranch(await gitBranch());
}

async function gitBranch(): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('git', [
      'symbolic-ref',
      '--short',
      'HEAD',
    ]);
    return stdout.trim();
  } catch (error) {
    throw new ConfigurationError(
      'There is no git branch here: this is no repository, or its HEAD is detached',
      'Give a name, or --pr with the number of a pull request',
      error,
    );
  }
}

function readTtl({ ttl, pr }: CreateOptions): number {
  const text = ttl ?? (pr === undefined ? TTL : PULL_REQUEST_TTL);
  const ms = parseDuration(text, '--ttl');
  if (ms >= MIN_TTL_MS && ms <= MAX_TTL_MS) return ms;
  throw new ConfigurationError(
    `--ttl '${text}' is not possible`,
    'A branch lives from 1 minute to 30 days',
  );
}

async function writeOverlay(
  file: string,
  project: Project,
  { branch, endpoint, host }: MadeBranch,
): Promise<void> {
  const until = branch.expiresAt
    ? `, until ${branch.expiresAt.toISOString()}`
    : '';
  await writeFile(
    file,
    `# A copy of ${branch.source ?? 'production'}${until}. Made by backstage-lakebase branch create.\n` +
      stringify(project.overlay(endpoint, host)),
  );
}

interface Made {
  made: MadeBranch;
  scrubbed?: ScrubbedTable[];
  source: string;
  ttlMs: number;
  taken: object[];
}

function tell(
  { out, error }: Terminal,
  { json, out: file, scrub: wanted, config }: CreateOptions,
  { made, scrubbed, source, ttlMs, taken }: Made,
): void {
  const { branch, created, endpoint, host, cappedToMs } = made;
  if (cappedToMs !== undefined) {
    error(
      `The workspace allows no life of ${formatSpan(ttlMs)}: it is ${formatSpan(cappedToMs)}`,
    );
  }
  if (!wanted) {
    error(
      'It was not scrubbed: keys, sessions and secrets of production are in ' +
        'it, and a portal that starts on it acts on the world',
    );
  }
  if (json) {
    const { name, expiresAt } = branch;
    const shown = { version: 1, name, created, source, endpoint, host };
    out(
      JSON.stringify(
        { ...shown, expires: expiresAt, file, scrubbed, steps: taken },
        undefined,
        2,
      ),
    );
    return;
  }
  if (scrubbed) out(renderScrubbed(scrubbed));
  const configs = [...(config ?? ['app-config.yaml']), file];
  const start = configs
    .map(name => `--config ${quoteForShell(name)}`)
    .join(' ');
  out(
    [
      `${branch.name} ${created ? 'is made' : 'was there'}` +
        (branch.expiresAt ? `, until ${branch.expiresAt.toISOString()}` : ''),
      `To start a portal on it: backstage-cli package start ${start}`,
      `or LAKEBASE_ENDPOINT=${quoteForShell(endpoint)}, where no configuration names another`,
    ].join('\n'),
  );
}

/** Nothing half-made is left: not by an interruption, nor by a refused scrub. */
async function tidyUp(
  { config }: CreateOptions,
  terminal: Terminal,
  id: string,
  cause: unknown,
): Promise<void> {
  const refused =
    cause instanceof LakebaseError && cause.code === 'scrub-refused';
  try {
    const name = await deleteAgain(config, terminal, id);
    if (name === undefined) return;
    terminal.error(
      `${name} is deleted again${refused ? ', since it could not be scrubbed' : ''}`,
    );
  } catch {
    terminal.error(
      `Branch ${id} may be left behind, not scrubbed: the same command goes on ` +
        `with it, or backstage-lakebase branch delete ${id} ends it`,
    );
  }
}
