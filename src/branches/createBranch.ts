import type { BranchApi } from '../databricks/branchApi';
import type { BranchInfo } from '../databricks/branchReplies';
import { LakebaseError } from '../errors';
import type { Clock } from '../time/clock';
import {
  checkQuota,
  checkWindow,
  otherLineage,
  quotaReached,
  reasonToStay,
} from './branchPlan';
import type { PointInTime } from './pointInTime';

export interface BranchRequest {
  id: string;
  /** `projects/…/branches/…` */
  source: string;
  /** What the configuration points at, which is replaced in no case. */
  configured: string;
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
  const { id, source, configured, at, replace } = request;
  await checkWindow(api, at, clock.wall());
  const name = api.nameOf(id);
  const all = await step('branches of the project', () => api.list());
  let found = all.find(branch => branch.name === name);
  const other = found && otherLineage(found, source, at);
  if (other && !replace) throw other;
  if (found && other) {
    checkMayGo(found, configured, all);
    await step(`delete ${id}`, () => api.delete(name));
    found = undefined;
  }
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
        const branch = await api.find(api.nameOf(id));
        if (!branch) throw error;
        const other = otherLineage(branch, source, at);
        if (other) throw other;
        return { branch, created: false };
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

function checkMayGo(
  branch: BranchInfo,
  configured: string,
  all: readonly BranchInfo[],
): void {
  const reason = reasonToStay(branch, configured, all);
  if (reason === undefined) return;
  throw new LakebaseError('branch-refused', {
    problem: `${branch.name} is not replaced: ${reason}`,
    remedy: 'Take another name',
  });
}

function checkSource(source: BranchInfo | undefined): void {
  if (!source?.expiresAt) return;
  throw new LakebaseError('branch-refused', {
    problem: `${source.name} expires at ${source.expiresAt.toISOString()}, and the platform makes no branch from one that does`,
    remedy: 'Begin at a branch that does not expire: --from production',
  });
}
