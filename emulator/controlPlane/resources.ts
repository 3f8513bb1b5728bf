import { posix } from 'node:path';

const CREATED = '2026-03-12T09:00:00Z';

/** When all that was there from the start was made. */
export const CREATED_AT = Date.parse(CREATED);

const PURGED_AFTER_MS = 7 * 86_400_000;

/** Of every branch: its data is not measured. */
export const LOGICAL_SIZE_BYTES = 66_060_288;

export interface BranchRecord {
  readonly name: string;
  readonly uid: string;
  readonly createdAt: number;
  state: 'INIT' | 'READY' | 'ARCHIVED' | 'DELETED';
  isProtected: boolean;
  /** Absent for a root. */
  source?: string;
  sourceTime?: Date;
  sourceLsn?: string;
  expiresAt?: number;
  deletedAt?: number;
  /** Absent: not since it was made. */
  changedAt?: number;
  /** Where its endpoints listen; absent where the gateway's first host leads. */
  host?: string;
}

export type EndpointState = 'INIT' | 'ACTIVE' | 'IDLE' | 'DEGRADED';

export interface EndpointSettings {
  /** Default: `READ_WRITE`. */
  type?: 'READ_WRITE' | 'READ_ONLY';
  /** Default: `IDLE` when disabled, else as the compute behind its host is. */
  state?: EndpointState;
  /** The gateway refuses logins at a host that has disabled endpoints only. */
  disabled?: boolean;
  /** Default: the gateway's. `null`: none yet, as of an endpoint just made. */
  host?: string | null;
  /** Where its pooler listens, which takes no OAuth logins. */
  pooledHost?: string;
  readOnlyHost?: string;
  minCu?: number;
  maxCu?: number;
}

export const projectResource = (
  name: string,
  { uid, defaultBranch }: { uid: string; defaultBranch: string },
  historyRetentionMs: number,
) => ({
  name,
  uid,
  create_time: CREATED,
  status: {
    project_id: posix.basename(name),
    display_name: 'Backstage',
    pg_version: 18,
    default_branch: defaultBranch,
    history_retention_duration: `${historyRetentionMs / 1000}s`,
    enable_pg_native_login: false,
  },
});

export const branchResource = (branch: BranchRecord, isDefault: boolean) => ({
  name: branch.name,
  uid: branch.uid,
  parent: parentOf(branch.name),
  create_time: timestamp(branch.createdAt),
  status: {
    branch_id: posix.basename(branch.name),
    current_state: branch.state,
    default: isDefault,
    is_protected: branch.isProtected,
    state_change_time: timestamp(branch.changedAt ?? branch.createdAt),
    logical_size_bytes: LOGICAL_SIZE_BYTES,
    ...(branch.source && { source_branch: branch.source }),
    ...(branch.sourceTime && {
      source_branch_time: branch.sourceTime.toISOString(),
    }),
    ...(branch.sourceLsn && { source_branch_lsn: branch.sourceLsn }),
    ...(branch.expiresAt !== undefined && {
      expire_time: timestamp(branch.expiresAt),
    }),
    ...(branch.deletedAt !== undefined && {
      delete_time: timestamp(branch.deletedAt),
      purge_time: timestamp(branch.deletedAt + PURGED_AFTER_MS),
    }),
  },
});

const timestamp = (at: number) => new Date(at).toISOString();

export function endpointResource(
  name: string,
  uid: string,
  settings: EndpointSettings,
  defaults: { host: string; stateAt: (host: string) => EndpointState },
) {
  const { type = 'READ_WRITE', disabled = false } = settings;
  const { host = defaults.host, pooledHost, readOnlyHost } = settings;
  const usual = disabled ? 'IDLE' : defaults.stateAt(host ?? defaults.host);
  const { state = usual } = settings;
  const { minCu = 1, maxCu = 1 } = settings;
  return {
    name,
    uid,
    parent: parentOf(name),
    create_time: CREATED,
    status: {
      endpoint_id: posix.basename(name),
      endpoint_type: `ENDPOINT_TYPE_${type}`,
      current_state: state,
      disabled,
      autoscaling_limit_min_cu: minCu,
      autoscaling_limit_max_cu: maxCu,
      suspend_timeout_duration: '86400s',
      ...(host !== null && {
        hosts: {
          host,
          read_only_host: readOnlyHost,
          read_write_pooled_host: pooledHost,
        },
      }),
    },
  };
}

/** `projects/p/branches/b` → `projects/p` */
export const parentOf = (name: string) => posix.dirname(posix.dirname(name));
