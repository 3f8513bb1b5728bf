import type { JsonObject } from '@backstage/types';
import { LAKEBASE_KEY } from '../../config/keys';
import {
  type EndpointSettings,
  readConfig,
  type Settings,
} from '../../config/readConfig';
import { BranchApi } from '../../databricks/branchApi';
import type { BranchInfo } from '../../databricks/branchReplies';
import { parseEndpointName } from '../../databricks/endpointName';
import { Warehouse } from '../../databricks/warehouse';
import { Workspace } from '../../databricks/workspace';
import { ConfigurationError, LakebaseError } from '../../errors';
import { checkIsOurs, DatabaseAccess } from '../databaseAccess';
import { interruptible } from '../interruption';
import { loadConfig, overlaid } from '../loadConfig';
import type { Terminal } from '../terminal';

/** The project of the configured endpoint, and the branch that it is on. */
export interface Project {
  api: BranchApi;
  /** `projects/…/branches/…`, as the platform calls it. */
  configured: string;
  /** @throws LakebaseError where there is none. */
  branch(idOrName: string): Promise<BranchInfo>;
  /** What to put on top of the configuration to be on another endpoint. */
  overlay(endpoint: string, host: string): JsonObject;
  /** What a backend there would be told. */
  settings(endpoint: string, host: string): Settings;
  /** The databases of the portal there. */
  access(endpoint: string, host: string): DatabaseAccess;
  /** A SQL warehouse of the same workspace. */
  warehouse(id: string): Warehouse;
}

/** Runs a command on the project, which Ctrl-C interrupts. */
export const inProject = (
  configFiles: string[] | undefined,
  terminal: Terminal,
  work: (project: Project, signal: AbortSignal) => Promise<number>,
): Promise<number> =>
  interruptible(terminal, signal =>
    useProject(configFiles, terminal, signal, project => work(project, signal)),
  );

/** @throws ConfigurationError, LakebaseError */
export async function useProject<T>(
  configFiles: string[] | undefined,
  { env, clock, error }: Terminal,
  signal: AbortSignal,
  work: (project: Project) => Promise<T>,
): Promise<T> {
  const { config } = await loadConfig(configFiles);
  const base = baseOf(readConfig(config, env));
  const { value, source } = base.endpoint;
  const name = parseEndpointName(value, source);
  checkIsOurs(base);
  const workspace = new Workspace({ settings: base, clock });
  const api = new BranchApi(
    `projects/${name.project}`,
    request => workspace.request(request),
    clock,
    signal,
  );
  const overlay = (endpoint: string, host: string): JsonObject => ({
    backend: {
      database: {
        lakebase: { endpoint },
        // What is configured leads to the branch that is configured.
        ...(base.sources.host && { connection: { host } }),
      },
    },
  });
  const branch = async (idOrName: string): Promise<BranchInfo> => {
    const wanted = idOrName.includes('/') ? idOrName : api.nameOf(idOrName);
    const found = await api.find(wanted);
    if (found) return found;
    throw new LakebaseError('branch-missing', {
      problem: `There is no branch ${wanted}`,
      remedy: 'See backstage-lakebase branch list',
    });
  };
  try {
    const { name: configured } = await branch(
      name.branch ?? (await defaultBranchOf(api)),
    );
    const settings = (endpoint: string, host: string) =>
      readConfig(overlaid(config, overlay(endpoint, host)), env);
    return await work({
      api,
      configured,
      branch,
      overlay,
      settings,
      warehouse: id =>
        new Warehouse({
          id,
          request: request => workspace.request(request),
          clock,
          signal,
          tell: error,
        }),
      access: (endpoint, host) => {
        const there = settings(endpoint, host);
        return new DatabaseAccess(there, baseOf(there), clock);
      },
    });
  } finally {
    workspace.stop();
  }
}

export function baseOf(settings: Settings): EndpointSettings {
  const base = settings.endpoints.find(endpoint => endpoint.base);
  if (!base) {
    throw new ConfigurationError(
      `${LAKEBASE_KEY} is not configured, so there is no project to make branches in`,
    );
  }
  if (base.endpoint.kind === 'instance') {
    throw new ConfigurationError(
      `${base.endpoint.source} names an instance of Lakebase Provisioned, which has no branches`,
      `Set ${LAKEBASE_KEY}.endpoint to a project of Autoscaling instead`,
    );
  }
  return base;
}

async function defaultBranchOf(api: BranchApi): Promise<string> {
  const { defaultBranch } = await api.readProject();
  if (defaultBranch) return defaultBranch;
  throw new LakebaseError('workspace-reply-invalid', {
    problem: `${api.project} has no default branch`,
    remedy: `Name the branch in ${LAKEBASE_KEY}.endpoint`,
  });
}
