import type { BranchInfo } from '../databricks/branchReplies';

export type BranchEventKind = 'made' | 'ready-again' | 'expired' | 'deleted';

/** Something that happened to a branch, by what the platform still knows of it. */
export interface BranchEvent {
  at: Date;
  kind: BranchEventKind;
  branch: string;
  uid?: string;
  /** In words, for those that have more to say. */
  detail: string;
}

/** A branch is made in seconds; what changes later is no part of that. */
const MAKING_MS = 5 * 60_000;

/** A branch at "now" begins no earlier than this before it was made. */
const NOW_MS = 60_000;

/** What the control plane tells of a project's branches since a moment. */
export function branchEvents(
  branches: readonly BranchInfo[],
  since: Date,
): BranchEvent[] {
  return branches
    .flatMap(branch => eventsOf(branch))
    .filter(({ at }) => at >= since)
    .sort((a, b) => a.at.getTime() - b.at.getTime());
}

function eventsOf(branch: BranchInfo): BranchEvent[] {
  const { id, uid, createdAt, deletedAt, expiresAt, state, changedAt } = branch;
  const event = (kind: BranchEventKind, at: Date, detail: string) => ({
    at,
    kind,
    branch: id,
    uid,
    detail,
  });
  const expired = deletedAt && expiresAt && deletedAt >= expiresAt;
  const backAgain =
    state === 'READY' &&
    createdAt &&
    changedAt &&
    changedAt.getTime() - createdAt.getTime() > MAKING_MS;
  return [
    ...(createdAt ? [event('made', createdAt, howMade(branch))] : []),
    ...(backAgain
      ? [
          event(
            'ready-again',
            changedAt,
            'restored, reset or unarchived: the platform does not say which',
          ),
        ]
      : []),
    ...(deletedAt
      ? [
          event(
            expired ? 'expired' : 'deleted',
            deletedAt,
            branch.purgedAt
              ? `can be restored until ${branch.purgedAt.toISOString()}`
              : '',
          ),
        ]
      : []),
  ];
}

function howMade({
  source,
  sourceTime,
  sourceLsn,
  createdAt,
  expiresAt,
  deletedAt,
}: BranchInfo): string {
  if (source === undefined) return 'the root of the project';
  const from = source.split('/').at(-1)!;
  const inThePast =
    sourceTime &&
    createdAt &&
    createdAt.getTime() - sourceTime.getTime() > NOW_MS;
  const moment = inThePast
    ? ` as it was at ${sourceTime.toISOString()}`
    : !sourceTime && sourceLsn
      ? ` at ${sourceLsn}`
      : '';
  const end =
    expiresAt && !deletedAt ? `, until ${expiresAt.toISOString()}` : '';
  return `a copy of ${from}${moment}${end}`;
}
