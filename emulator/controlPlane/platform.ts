import type { IncomingHttpHeaders } from 'node:http';
import type { CredentialAuthority } from '../credentialAuthority';
import type { IdentityProvider } from '../identityProvider';
import { ApiError } from './apiError';
import type { BranchChanges } from './branchChanges';
import type { Catalog } from './catalog';
import type { Federation } from './federation';
import type { Instance } from './instances';
import type { Operations } from './operations';
import type { Registrations } from './registrations';
import type { Warehouse } from '../warehouse/warehouse';
import type { Workspace } from './workspace';

export interface ApiRequest {
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

/** All that replies are made from. */
export interface Platform {
  url: string;
  /** Which of the workspaces that its host may serve this one is. */
  workspaceId: string;
  /** Whether its host serves others, too: a call then has to name this one. */
  unified: boolean;
  credentialLifeMs: number;
  workspaceTokenLifeMs: number;
  workspace: Workspace;
  authority: CredentialAuthority;
  catalog: Catalog;
  branchChanges: BranchChanges;
  operations: Operations;
  registrations: Registrations;
  warehouse: Warehouse;
  instance: Instance;
  identityProvider: IdentityProvider;
  federation: Federation;
}

/** The name of the identity that calls. */
export function callerOf(
  { headers }: ApiRequest,
  { workspace, unified, workspaceId }: Platform,
): string {
  const token = bearerTokenOf(headers);
  const userName = token && workspace.userOf(token);
  const named = headers['x-databricks-workspace-id'];
  if (!userName || (unified && named !== workspaceId))
    throw new ApiError(401, 'Request does not have valid credentials');
  return userName;
}

export const bearerTokenOf = (headers: IncomingHttpHeaders) =>
  /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
