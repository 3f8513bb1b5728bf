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

/** Why a branch is production to this tool, which never changes that. */
export function reasonToSpare(
  { name, isDefault, isProtected }: BranchInfo,
  configured: string,
): string | undefined {
  if (name === configured) return 'the configuration points at it';
  if (isDefault) return 'it is the default branch of the project';
  return isProtected ? 'it is protected' : undefined;
}

/**
 * Why nobody may delete a branch by this tool, whatever it was made from;
 * undefined for one that ends by itself anyway, and that nobody depends on.
 */
export function reasonToStay(
  branch: BranchInfo,
  configured: string,
  all: readonly BranchInfo[],
): string | undefined {
  const reason = reasonToSpare(branch, configured);
  if (reason !== undefined) return reason;
  const child = all.find(({ source }) => source === branch.name);
  if (child) return `${child.name} was made from it`;
  if (!branch.expiresAt)
    return 'it does not expire, so somebody meant it to stay';
  return undefined;
}

/** The same, and whether it is a copy of the configured branch at all. */
export function reasonToKeep(
  branch: BranchInfo,
  configured: string,
  all: readonly BranchInfo[],
): string | undefined {
  const { source } = branch;
  const reason = reasonToStay(branch, configured, all);
  if (reason !== undefined || source === configured) return reason;
  return `it was made from ${source ?? 'no other branch'}`;
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

/** What to say of a branch that is there, and is not the one that was asked for. */
export function otherLineage(
  found: BranchInfo,
  source: string,
  at: PointInTime | undefined,
): LakebaseError | undefined {
  if (found.source === source && (!at || beginsAt(found, at))) return undefined;
  const point = found.sourceTime?.toISOString() ?? found.sourceLsn;
  return new LakebaseError('branch-exists', {
    problem:
      `There is a branch ${found.id} already, made from ` +
      `${found.source ?? 'no other branch'}${point ? ` at ${point}` : ''}` +
      `, and not from ${source}${at ? ` at ${describePoint(at)}` : ''}`,
    remedy: 'Take another name, or say --replace to delete it first',
  });
}

const describePoint = (at: PointInTime): string =>
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
