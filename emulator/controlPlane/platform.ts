import type { IncomingHttpHeaders } from 'node:http';
import type { CredentialAuthority } from '../credentialAuthority';
import type { IdentityProvider } from '../identityProvider';
import { ApiError } from './apiError';
import type { Catalog } from './catalog';
import type { Federation } from './federation';
import type { Instance } from './instances';
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
  credentialLifeMs: number;
  workspaceTokenLifeMs: number;
  workspace: Workspace;
  authority: CredentialAuthority;
  catalog: Catalog;
  instance: Instance;
  identityProvider: IdentityProvider;
  federation: Federation;
}

/** The name of the identity that calls. */
export function callerOf(
  { headers }: ApiRequest,
  { workspace }: Platform,
): string {
  const token = bearerTokenOf(headers);
  const userName = token && workspace.userOf(token);
  if (!userName)
    throw new ApiError(401, 'Request does not have valid credentials');
  return userName;
}

export const bearerTokenOf = (headers: IncomingHttpHeaders) =>
  /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
