import { posix } from 'node:path';
import { z } from 'zod';
import { hostName, shownName } from './workspaceReply';

const time = z.iso
  .datetime({ offset: true })
  .transform(text => new Date(text))
  .optional()
  .catch(undefined);

export const branchReply = z
  .object({
    name: shownName,
    uid: shownName.optional(),
    create_time: time,
    status: z
      .object({
        current_state: shownName.optional(),
        default: z.boolean().optional(),
        is_protected: z.boolean().optional(),
        source_branch: shownName.optional(),
        source_branch_lsn: shownName.optional(),
        source_branch_time: time,
        expire_time: time,
        delete_time: time,
        purge_time: time,
        state_change_time: time,
        logical_size_bytes: z.coerce.number().optional().catch(undefined),
      })
      .prefault({}),
  })
  .transform(({ name, uid, create_time, status }) => ({
    name,
    id: posix.basename(name),
    uid,
    createdAt: create_time,
    state: status.current_state,
    isDefault: status.default ?? false,
    isProtected: status.is_protected ?? false,
    source: status.source_branch,
    sourceLsn: status.source_branch_lsn,
    sourceTime: status.source_branch_time,
    expiresAt: status.expire_time,
    deletedAt: status.delete_time,
    purgedAt: status.purge_time,
    changedAt: status.state_change_time,
    sizeBytes: status.logical_size_bytes,
  }));

/** A branch as the platform shows it. */
export type BranchInfo = z.output<typeof branchReply>;

export const branchesReply = z.object({
  branches: z.array(branchReply).default([]),
  next_page_token: z.string().optional(),
});

export const projectReply = z
  .object({
    uid: shownName.optional(),
    status: z
      .object({
        default_branch: shownName.optional(),
        history_retention_duration: z.string().optional(),
      })
      .prefault({}),
  })
  .transform(({ uid, status }) => ({
    uid,
    defaultBranch: status.default_branch,
    retentionMs: durationMs(status.history_retention_duration),
  }));

export type ProjectInfo = z.output<typeof projectReply>;

export const endpointsReply = z.object({
  endpoints: z
    .array(
      z.object({
        name: shownName,
        uid: shownName.optional().catch(undefined),
        status: z
          .object({
            endpoint_type: z.string().optional(),
            current_state: shownName.optional().catch(undefined),
            autoscaling_limit_min_cu: z.number().optional().catch(undefined),
            autoscaling_limit_max_cu: z.number().optional().catch(undefined),
            hosts: z.object({ host: hostName.optional() }).prefault({}),
          })
          .prefault({}),
      }),
    )
    .default([]),
});

export const operationReply = z.object({
  name: shownName,
  done: z.boolean().default(false),
  error: z
    .object({ error_code: shownName.optional().catch(undefined) })
    .optional(),
});

export type Operation = z.output<typeof operationReply>;

/** `"604800s"` */
function durationMs(text: string | undefined): number | undefined {
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(text ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
