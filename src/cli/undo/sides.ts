import { plainName } from '../../branches/branchName';
import { createBranch } from '../../branches/createBranch';
import { proveCopy } from '../../branches/marks';
import { parsePointInTime } from '../../branches/pointInTime';
import { reasonToSpare } from '../../branches/branchPlan';
import { ConfigurationError, LakebaseError } from '../../errors';
import type { Project } from '../branch/project';
import { showSteps } from '../branch/steps';
import { formatSpan } from '../table';
import type { DatabaseAccess } from '../databaseAccess';
import type { Terminal } from '../terminal';

export interface MomentOptions {
  at?: string;
  branch?: string;
}

/** The portal's databases at a moment of the past, and now. */
export interface Sides {
  /** The branch that shows the past. */
  branch: string;
  /** Where a backend on that branch connects. */
  endpoint: { name: string; host: string };
  then: DatabaseAccess;
  now: DatabaseAccess;
  /** @throws LakebaseError where both are the same database. */
  prove(database: string): Promise<void>;
}

const TTL_MS = 24 * 3_600_000;

/** Makes the branch of that moment, or finds it, and opens both sides. */
export async function openSides(
  { at, branch }: MomentOptions,
  project: Project,
  terminal: Terminal,
): Promise<Sides> {
  const name =
    branch === undefined
      ? await makeBranch(at, project, terminal)
      : await findBranch(branch, project);
  const { api, configured } = project;
  const there = await api.endpointOf(name);
  const here = await api.endpointOf(configured);
  terminal.error(`then: ${name}, at ${there.host}`);
  terminal.error(`now:  ${configured}, at ${here.host}`);
  const then = project.access(there.name, there.host);
  const now = project.access(here.name, here.host);
  return {
    branch: name,
    endpoint: there,
    then,
    now,
    prove: async database =>
      proveCopy(database, await then.open(database), await now.open(database)),
  };
}

async function makeBranch(
  at: string | undefined,
  { api, configured }: Project,
  terminal: Terminal,
): Promise<string> {
  if (at === undefined) {
    throw new ConfigurationError(
      'It is not said to which moment to go back',
      'Give --at with a moment before the loss (-5m, 2026-11-27T14:03:00Z), or --branch with a branch of it',
    );
  }
  const { clock, error } = terminal;
  const point = parsePointInTime(at, '--at', clock.wall());
  const { retentionMs } = await api.readProject();
  if (retentionMs !== undefined) {
    const since = new Date(clock.wall() - retentionMs).toISOString();
    error(
      `The project keeps ${formatSpan(retentionMs)}: moments since ${since}`,
    );
  }
  const label =
    'time' in point
      ? point.time.toISOString().slice(0, 19)
      : `lsn-${point.lsn}`;
  const id = `undo-${plainName(label)}`;
  const { step } = showSteps(terminal);
  const request = {
    id,
    source: configured,
    configured,
    at: point,
    ttlMs: TTL_MS,
    replace: false,
  };
  const made = await createBranch(api, request, {
    clock,
    step,
    onMaking: () => {},
  });
  return made.branch.name;
}

async function findBranch(given: string, project: Project): Promise<string> {
  const branch = await project.branch(given);
  const reason = reasonToSpare(branch, project.configured);
  if (reason === undefined) return branch.name;
  throw new LakebaseError('branch-refused', {
    problem: `${branch.name} does not show the past: ${reason}`,
    remedy: 'Name a branch of an earlier moment, or give --at',
  });
}
