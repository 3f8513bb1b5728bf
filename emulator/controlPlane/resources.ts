import { posix } from 'node:path';

const CREATED = '2026-03-12T09:00:00Z';

export type EndpointState = 'INIT' | 'ACTIVE' | 'IDLE' | 'DEGRADED';

export interface EndpointSettings {
  /** Default: `READ_WRITE`. */
  type?: 'READ_WRITE' | 'READ_ONLY';
  /** Default: `IDLE` when disabled, else as the gateway's compute is. */
  state?: EndpointState;
  /** The gateway refuses logins at a host that has disabled endpoints only. */
  disabled?: boolean;
  /** Default: the gateway's. `null`: none yet, as of an endpoint just made. */
  host?: string | null;
  /** Where its pooler listens, which takes no OAuth logins. */
  pooledHost?: string;
  readOnlyHost?: string;
}

export const projectResource = (
  name: string,
  { uid, defaultBranch }: { uid: string; defaultBranch: string },
) => ({
  name,
  uid,
  create_time: CREATED,
  status: {
    project_id: posix.basename(name),
    display_name: 'Backstage',
    pg_version: 18,
    default_branch: defaultBranch,
    history_retention_duration: '604800s',
    enable_pg_native_login: false,
  },
});

export const branchResource = (
  name: string,
  uid: string,
  isDefault: boolean,
) => ({
  name,
  uid,
  parent: parentOf(name),
  create_time: CREATED,
  status: {
    branch_id: posix.basename(name),
    current_state: 'READY',
    default: isDefault,
    is_protected: false,
  },
});

export function endpointResource(
  name: string,
  uid: string,
  settings: EndpointSettings,
  defaults: { host: string; state: EndpointState },
) {
  const { type = 'READ_WRITE', disabled = false } = settings;
  const { host = defaults.host, pooledHost, readOnlyHost } = settings;
  const { state = disabled ? 'IDLE' : defaults.state } = settings;
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
      autoscaling_limit_min_cu: 1,
      autoscaling_limit_max_cu: 1,
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
const parentOf = (name: string) => posix.dirname(posix.dirname(name));
