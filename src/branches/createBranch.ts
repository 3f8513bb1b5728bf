import type { BranchApi } from '../databricks/branchApi';
import type { BranchInfo } from '../databricks/branchReplies';
import { LakebaseError } from '../errors';
import type { Clock } from '../time/clock';
import {
  checkLineage,
  checkQuota,
  checkWindow,
  quotaReached,
} from './branchPlan';
import type { PointInTime } from './pointInTime';

export interface BranchRequest {
  id: string;
  /** `projects/…/branches/…` */
  source: string;
  at?: PointInTime;
  ttlMs: number;
  /** Whether one of that name with another lineage is deleted first. */
  replace: boolean;
}

/** A branch that can be connected to. */
export interface MadeBranch {
  branch: BranchInfo;
  /** False: it was there already. */
  created: boolean;
  endpoint: string;
  host: string;
  /** Said where the workspace allows no longer life than this. */
  cappedToMs?: number;
}

/** Follows the work. */
export interface Progress {
  clock: Clock;
  step: Step;
  /** Hears whether there may be a branch now that is there only because of us. */
  onMaking: (ours: boolean) => void;
}

/** Runs a step of the work, and shows it. */
export type Step = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** What a workspace that caps lives lets pass when it does not say its cap. */
const FALLBACK_TTL_MS = 7 * 86_400_000;

/**
 * Makes a branch, or finds the one that the same call made before, and waits
 * until it can be connected to.
 *
 * @throws LakebaseError
 */
export async function createBranch(
  api: BranchApi,
  request: BranchRequest,
  progress: Progress,
): Promise<MadeBranch> {
  const { clock, step } = progress;
  const { id, source, at, replace } = request;
  await checkWindow(api, at, clock.wall());
  const name = api.nameOf(id);
  const all = await step('branches of the project', () => api.list());
  let found = all.find(branch => branch.name === name);
  if (found && replace && !hasLineage(found, source, at)) {
    await step(`delete ${id}`, () => api.delete(name));
    found = undefined;
  }
  if (found) checkLineage(found, source, at);
  const made = found
    ? { branch: found, created: false }
    : await step(`make ${id}`, () => make(api, request, all, progress));
  const branch = await step(`wait for ${id}`, () =>
    api.untilReady(made.branch),
  );
  const { name: endpoint, host } = await step('wait for its endpoint', () =>
    api.endpointOf(name),
  );
  return { ...made, branch, endpoint, host };
}

async function make(
  api: BranchApi,
  { id, source, at, ttlMs }: BranchRequest,
  all: readonly BranchInfo[],
  { onMaking }: Progress,
): Promise<Pick<MadeBranch, 'branch' | 'created' | 'cappedToMs'>> {
  checkSource(all.find(({ name }) => name === source));
  checkQuota(all, source);
  const attempt = async (ms: number) => {
    onMaking(true);
    const branch = await api.create(id, { source, at, ttlMs: ms });
    return { branch, created: true };
  };
  try {
    return await attempt(ttlMs);
  } catch (error) {
    switch (error instanceof LakebaseError && error.code) {
      case 'branch-exists': {
        // Somebody was faster; the same call, perhaps.
        onMaking(false);
        const other = await api.find(api.nameOf(id));
        if (!other) throw error;
        checkLineage(other, source, at);
        return { branch: other, created: false };
      }
      case 'branch-quota':
        throw quotaReached(all, source, error);
      case 'branch-ttl-capped': {
        const { retentionMs = FALLBACK_TTL_MS } = await api.readProject();
        const cappedToMs = Math.min(ttlMs, retentionMs);
        if (cappedToMs === ttlMs) throw error;
        return { ...(await attempt(cappedToMs)), cappedToMs };
      }
      default:
        throw error;
    }
  }
}

function checkSource(source: BranchInfo | undefined): void {
  if (!source?.expiresAt) return;
  throw new LakebaseError('branch-refused', {
    problem: `${source.name} expires at ${source.expiresAt.toISOString()}, and the platform makes no branch from one that does`,
    remedy: 'Begin at a branch that does not expire: --from production',
  });
}

function hasLineage(
  found: BranchInfo,
  source: string,
  at: PointInTime | undefined,
): boolean {
  try {
    checkLineage(found, source, at);
    return true;
  } catch {
    return false;
  }
}
