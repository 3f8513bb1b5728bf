import type { BranchApi } from '../databricks/branchApi';
import type { BranchInfo } from '../databricks/branchReplies';
import { ConfigurationError, LakebaseError } from '../errors';
import { isOurs } from './branchName';
import type { PointInTime } from './pointInTime';

/** The platform's own limits; it has the last word. */
const MAX_UNARCHIVED = 10;

export const isUnarchived = ({ state }: BranchInfo): boolean =>
  state !== 'ARCHIVED' && state !== 'DELETED';

/** Named by this tool, and made from the branch that it works for. */
export const isMadeHere = (branch: BranchInfo, source: string): boolean =>
  isOurs(branch.id) && branch.source === source;

/**
 * Why a branch must stay, or undefined if it may go: it was made from `source`,
 * ends by itself anyway, and nobody depends on it.
 */
export function reasonToKeep(
  branch: BranchInfo,
  source: string,
  all: readonly BranchInfo[],
): string | undefined {
  const { name } = branch;
  if (name === source) return 'the configuration points at it';
  if (branch.isDefault) return 'it is the default branch of the project';
  if (branch.isProtected) return 'it is protected';
  if (branch.source !== source) {
    return branch.source
      ? `it was made from ${branch.source}`
      : 'it was made from no other branch';
  }
  const child = all.find(other => other.source === name);
  if (child) return `${child.name} was made from it`;
  if (!branch.expiresAt)
    return 'it does not expire, so somebody meant it to stay';
  return undefined;
}

/** @throws LakebaseError where no further branch fits in. */
export function checkQuota(all: readonly BranchInfo[], source: string): void {
  const unarchived = all.filter(isUnarchived);
  if (unarchived.length < MAX_UNARCHIVED) return;
  throw quotaReached(all, source);
}

/** With what could go, so that a new branch has room. */
export function quotaReached(
  all: readonly BranchInfo[],
  source: string,
  cause?: unknown,
): LakebaseError {
  const spare = all.filter(branch => !reasonToKeep(branch, source, all));
  const count = all.filter(isUnarchived).length;
  return new LakebaseError(
    'branch-quota',
    {
      problem: `The project has ${count} branches that are not archived, and the platform allows no more`,
      ...(spare.length > 0
        ? {
            remedy: 'Delete one that nobody needs',
            statements: spare.map(
              ({ id }) => `backstage-lakebase branch delete ${id}`,
            ),
          }
        : {
            remedy:
              'None of them may go by what this tool knows: ask who made them',
          }),
    },
    { cause },
  );
}

/**
 * Whether a branch that is there is the one that was asked for.
 *
 * @throws LakebaseError that says what it found instead.
 */
export function checkLineage(
  found: BranchInfo,
  source: string,
  at: PointInTime | undefined,
): void {
  const same =
    found.source === source && (at === undefined || beginsAt(found, at));
  if (same) return;
  const point = found.sourceTime?.toISOString() ?? found.sourceLsn;
  throw new LakebaseError('branch-exists', {
    problem:
      `There is a branch ${found.id} already, made from ` +
      `${found.source ?? 'no other branch'}${point ? ` at ${point}` : ''}` +
      `, and not from ${source}${at ? ` at ${describePoint(at)}` : ''}`,
    remedy: 'Take another name, or say --replace to delete it first',
  });
}

export const describePoint = (at: PointInTime): string =>
  'time' in at ? at.time.toISOString() : at.lsn;

/** A moment that was told from now on is another one at each call. */
const SAME_MOMENT_MS = 1_000;

const beginsAt = ({ sourceTime, sourceLsn }: BranchInfo, at: PointInTime) =>
  'lsn' in at
    ? sourceLsn === at.lsn
    : sourceTime !== undefined &&
      Math.abs(sourceTime.getTime() - at.time.getTime()) < SAME_MOMENT_MS;

/** @throws ConfigurationError where the platform keeps no history of that moment. */
export async function checkWindow(
  api: BranchApi,
  at: PointInTime | undefined,
  nowMs: number,
): Promise<void> {
  if (!at || !('time' in at)) return;
  const { retentionMs } = await api.readProject();
  if (retentionMs === undefined) return;
  const begin = new Date(nowMs - retentionMs);
  if (at.time >= begin) return;
  throw new ConfigurationError(
    `${at.time.toISOString()} is before the restore window of ${api.project}, ` +
      `which begins at ${begin.toISOString()}`,
    'Take a later moment; the window is history_retention_duration of the project',
  );
}
