import type { IncomingHttpHeaders } from 'node:http';
import type { CredentialAuthority } from '../credentialAuthority';
import { ApiError, OAuthError } from './apiError';
import type { Reply } from './faults';
import { ENDPOINT, notFound, resources, type Compute } from './resources';
import { resourceName, type Route } from './routes';
import type { Workspace } from './workspace';

export interface ApiRequest {
  path: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

export interface Platform {
  url: string;
  credentialLifeMs: number;
  workspaceTokenLifeMs: number;
  workspace: Workspace;
  authority: CredentialAuthority;
  compute: () => Compute;
}

const MIN_TTL_S = 300;
const MAX_TTL_S = 3600;

/** What the platform answers when all is well, errors of the caller included. */
export async function usualReply(
  route: Route | undefined,
  request: ApiRequest,
  platform: Platform,
): Promise<Reply> {
  try {
    return { status: 200, body: await bodyOf(route, request, platform) };
  } catch (error) {
    if (error instanceof ApiError || error instanceof OAuthError)
      return error.reply;
    throw error;
  }
}

async function bodyOf(
  route: Route | undefined,
  request: ApiRequest,
  platform: Platform,
): Promise<unknown> {
  switch (route) {
    case undefined:
      throw new ApiError(404, 'No API found', 'ENDPOINT_NOT_FOUND');
    case 'discovery':
      return discovery(platform);
    case 'token':
      return workspaceToken(request, platform);
    case 'me':
      return me(callerOf(request, platform));
    case 'credentials':
      return credential(request, platform);
    default: {
      callerOf(request, platform);
      const name = resourceName(request.path);
      const found = resources(platform.compute())[name];
      if (!found) throw notFound(name);
      return found;
    }
  }
}

const discovery = ({ url }: Platform) => ({
  issuer: `${url}/oidc`,
  authorization_endpoint: `${url}/oidc/v1/authorize`,
  token_endpoint: `${url}/oidc/v1/token`,
  grant_types_supported: ['client_credentials'],
  token_endpoint_auth_methods_supported: ['client_secret_basic'],
});

const me = (clientId: string) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
  id: '7480127719355012',
  userName: clientId,
  displayName: 'Backstage',
  active: true,
});

function workspaceToken({ headers, body }: ApiRequest, platform: Platform) {
  if (body.grant_type !== 'client_credentials')
    throw new OAuthError(400, 'unsupported_grant_type', 'Unknown grant type');
  if (!body.scope)
    throw new OAuthError(400, 'invalid_scope', 'The scope is missing');

  const [clientId, clientSecret] = basicCredentials(headers.authorization);
  if (!platform.workspace.hasSecret(clientId, clientSecret))
    throw new OAuthError(401, 'invalid_client', 'Client authentication failed');

  const lifeMs = platform.workspaceTokenLifeMs;
  return {
    access_token: platform.workspace.issueToken(clientId, lifeMs),
    token_type: 'Bearer',
    expires_in: Math.floor(lifeMs / 1000),
    scope: body.scope,
  };
}

function basicCredentials(authorization = ''): [id: string, secret: string] {
  const encoded = /^Basic (.+)$/.exec(authorization)?.[1] ?? '';
  const [id, secret = ''] = Buffer.from(encoded, 'base64')
    .toString()
    .split(':')
    .map(decodeURIComponent);
  return [id, secret];
}

function callerOf({ headers }: ApiRequest, { workspace }: Platform): string {
  const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
  const clientId = token && workspace.clientOf(token);
  if (!clientId)
    throw new ApiError(401, 'Request does not have valid credentials');
  return clientId;
}

async function credential(request: ApiRequest, platform: Platform) {
  const clientId = callerOf(request, platform);
  const { endpoint, ttl } = request.body;
  if (typeof endpoint !== 'string' || endpoint === '')
    throw new ApiError(
      400,
      "Field 'endpoint' is required, expected non-default value",
    );
  if (!/^projects\/[^/]+\/branches\/[^/]+\/endpoints\/[^/]+$/.test(endpoint))
    throw new ApiError(400, `Invalid endpoint name '${endpoint}'`);
  if (endpoint !== ENDPOINT) throw notFound(endpoint);

  const { token, expiresAt } = await platform.authority.mint(
    clientId,
    Math.min(lifeOf(ttl), platform.credentialLifeMs),
  );
  return { token, expire_time: new Date(expiresAt).toISOString() };
}

function lifeOf(ttl: unknown = `${MAX_TTL_S}s`): number {
  const seconds =
    typeof ttl === 'string' ? Number(/^(\d+)s$/.exec(ttl)?.[1]) : NaN;
  if (Number.isNaN(seconds)) throw new ApiError(400, 'Invalid duration: ttl');
  if (seconds > MAX_TTL_S)
    throw new ApiError(
      400,
      'expiration time exceeds the maximum expiration time',
    );
  if (seconds < MIN_TTL_S)
    throw new ApiError(400, 'expiration time is below the minimum of 300s');
  return seconds * 1000;
}
