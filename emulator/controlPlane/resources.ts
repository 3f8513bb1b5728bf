import { ApiError } from './apiError';

export const PROJECT = 'projects/backstage';
export const BRANCH = `${PROJECT}/branches/production`;
export const ENDPOINT = `${BRANCH}/endpoints/primary`;

const CREATED = '2026-03-12T09:00:00Z';

export interface Compute {
  host: string;
  state: 'ACTIVE' | 'IDLE';
}

/** The one project of the emulator with its one branch and its one endpoint. */
export function resources(compute: Compute): Record<string, object> {
  const branch = branchResource();
  const endpoint = endpointResource(compute);
  return {
    [PROJECT]: projectResource(),
    [`${PROJECT}/branches`]: { branches: [branch] },
    [BRANCH]: branch,
    [`${BRANCH}/endpoints`]: { endpoints: [endpoint] },
    [ENDPOINT]: endpoint,
  };
}

export function notFound(name: string): ApiError {
  const [, project, , branch] = name.split('/');
  if (`projects/${project}` !== PROJECT)
    return new ApiError(404, 'project id not found');
  if (`${PROJECT}/branches/${branch}` !== BRANCH)
    return new ApiError(404, 'branch id not found');
  return new ApiError(404, 'endpoint id not found');
}

const projectResource = () => ({
  name: PROJECT,
  uid: '5b1c9d0e-3c4e-4c5e-9a51-0d7b7a2c9f10',
  create_time: CREATED,
  status: {
    project_id: 'backstage',
    display_name: 'Backstage',
    pg_version: 18,
    default_branch: BRANCH,
    history_retention_duration: '604800s',
    enable_pg_native_login: false,
  },
});

const branchResource = () => ({
  name: BRANCH,
  uid: 'br-quiet-harbor-e2k4m6p8',
  parent: PROJECT,
  create_time: CREATED,
  status: {
    branch_id: 'production',
    current_state: 'READY',
    default: true,
    is_protected: false,
  },
});

const endpointResource = ({ host, state }: Compute) => ({
  name: ENDPOINT,
  uid: 'ep-calm-meadow-a1b2c3d4',
  parent: BRANCH,
  create_time: CREATED,
  status: {
    endpoint_id: 'primary',
    endpoint_type: 'ENDPOINT_TYPE_READ_WRITE',
    current_state: state,
    autoscaling_limit_min_cu: 1,
    autoscaling_limit_max_cu: 1,
    suspend_timeout_duration: '86400s',
    hosts: { host },
  },
});
