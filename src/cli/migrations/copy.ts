import { randomBytes } from 'node:crypto';
import { reasonToSpare } from '../../branches/branchPlan';
import { createBranch } from '../../branches/createBranch';
import { proveCopy } from '../../branches/marks';
import { parsePointInTime } from '../../branches/pointInTime';
import type { BranchEndpoint } from '../../databricks/branchApi';
import { LakebaseError } from '../../errors';
import { deleteAgain } from '../branch/deleteAgain';
import type { Project } from '../branch/project';
import { showSteps } from '../branch/steps';
import type { DatabaseAccess } from '../databaseAccess';
import { closingAfter } from '../interruption';
import type { Terminal } from '../terminal';
import { openPortal, type Portal } from './portal';

export interface CopyOptions {
  config?: string[];
  from?: string;
  at?: string;
  branch?: string;
  keep: boolean;
}

/** A branch to try things on. */
export interface Copy {
  portal: Portal;
  source: DatabaseAccess;
  sourceName: string;
  /** Which moment of the source it shows. */
  at: string;
  signal: AbortSignal;
  /** @throws LakebaseError where one of them is the source's own. */
  prove(databases: readonly string[]): Promise<void>;
}

interface Surroundings {
  project: Project;
  terminal: Terminal;
  signal: AbortSignal;
}

/** Ends a copy that nobody could delete any more. */
const TTL_MS = 6 * 3_600_000;

/** Makes a copy, works on it and deletes it, however the work ends. */
export async function onCopy<T>(
  options: CopyOptions,
  surroundings: Surroundings,
  work: (copy: Copy) => Promise<T>,
): Promise<T> {
  const { project, terminal } = surroundings;
  if (options.branch !== undefined) {
    const branch = await project.branch(options.branch);
    const reason =
      reasonToSpare(branch, project.configured) ??
      (branch.source === undefined ? 'it is a copy of nothing' : undefined);
    if (reason !== undefined) {
      throw new LakebaseError('branch-refused', {
        problem: `${branch.name} is not used for a rehearsal: ${reason}`,
        remedy: 'Name a copy, or leave --branch out to have one made',
      });
    }
    const at = branch.name;
    return use(branch.source!, branch.name, at, surroundings, work);
  }
  const id = `rehearsal-${randomBytes(4).toString('hex')}`;
  let made = false;
  try {
    const source = options.from
      ? (await project.branch(options.from)).name
      : project.configured;
    const now = terminal.clock.wall();
    const at = options.at && parsePointInTime(options.at, '--at', now);
    const { step } = showSteps(terminal);
    const request = {
      id,
      source,
      configured: project.configured,
      at: at || undefined,
      ttlMs: TTL_MS,
      replace: false,
    };
    const { branch } = await createBranch(project.api, request, {
      clock: terminal.clock,
      step,
      onMaking: ours => (made = ours),
    });
    const moment = options.at ?? new Date(now).toISOString();
    return await use(source, branch.name, moment, surroundings, work);
  } finally {
    if (made && options.keep) terminal.error(`Branch ${id} is kept`);
    else if (made) await tidyUp(options, terminal, id);
  }
}

async function use<T>(
  sourceName: string,
  branch: string,
  at: string,
  { project, terminal, signal }: Surroundings,
  work: (copy: Copy) => Promise<T>,
): Promise<T> {
  const there = await project.api.endpointOf(sourceName);
  const endpoint = await project.api.endpointOf(branch);
  await matchSize(project, branch, endpoint, there, terminal);
  const portal = openPortal(project, endpoint, terminal);
  const source = project.access(there.name, there.host);
  const close = () => Promise.all([portal.close(), source.close()]);
  const prove = async (databases: readonly string[]) => {
    for (const name of databases) {
      const opened = await portal.access.open(name);
      await proveCopy(name, opened, await source.open(name));
    }
  };
  return closingAfter(signal, close, () =>
    work({ portal, source, sourceName, at, signal, prove }),
  );
}

/** Otherwise times would mean nothing. */
async function matchSize(
  { api }: Project,
  branch: string,
  { name, size }: BranchEndpoint,
  source: BranchEndpoint,
  { error }: Terminal,
): Promise<void> {
  if (!source.size) {
    error(`The size of ${source.name} is unknown, so times may differ there`);
    return;
  }
  const { min, max } = source.size;
  if (size?.min !== min || size.max !== max) {
    await api.resize(branch, name, source.size);
  }
  error(`${name} has ${min} to ${max} CU, as ${source.name} has`);
}

async function tidyUp(
  { config }: CopyOptions,
  terminal: Terminal,
  id: string,
): Promise<void> {
  try {
    const name = await deleteAgain(config, terminal, id);
    if (name !== undefined) terminal.error(`${name} is deleted again`);
  } catch {
    terminal.error(
      `Branch ${id} is left behind, and ends by itself within 6 hours; ` +
        `backstage-lakebase branch delete ${id} ends it now`,
    );
  }
}
