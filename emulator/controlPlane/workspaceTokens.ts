import { OAuthError } from './apiError';
import type { ApiRequest, Platform } from './platform';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';

export const discovery = ({ url }: Platform) => ({
  issuer: `${url}/oidc`,
  authorization_endpoint: `${url}/oidc/v1/authorize`,
  token_endpoint: tokenEndpoint(url),
  grant_types_supported: ['client_credentials', TOKEN_EXCHANGE],
  token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'],
});

export const tokenEndpoint = (url: string) => `${url}/oidc/v1/token`;

export async function workspaceToken(request: ApiRequest, platform: Platform) {
  const userName = await granteeOf(request, platform);
  const lifeMs = platform.workspaceTokenLifeMs;
  return {
    access_token: platform.workspace.issueToken(userName, lifeMs),
    token_type: 'Bearer',
    expires_in: Math.floor(lifeMs / 1000),
    scope: request.body.scope,
  };
}

async function granteeOf(
  request: ApiRequest,
  platform: Platform,
): Promise<string> {
  switch (request.body.grant_type) {
    case 'client_credentials':
      return authenticatedClient(request, platform);
    case TOKEN_EXCHANGE:
      return federatedIdentity(request, platform);
    default:
      throw new OAuthError(400, 'unsupported_grant_type', 'Unknown grant type');
  }
}

function authenticatedClient(
  { headers, body }: ApiRequest,
  { workspace }: Platform,
): string {
  if (!body.scope)
    throw new OAuthError(400, 'invalid_scope', 'The scope is missing');

  const [clientId, clientSecret] = basicCredentials(headers.authorization);
  if (!workspace.hasSecret(clientId, clientSecret))
    throw new OAuthError(401, 'invalid_client', 'Client authentication failed');
  return clientId;
}

function basicCredentials(authorization = ''): [id: string, secret: string] {
  const encoded = /^Basic (.+)$/.exec(authorization)?.[1] ?? '';
  const [id, secret = ''] = Buffer.from(encoded, 'base64')
    .toString()
    .split(':')
    .map(decodeURIComponent);
  return [id, secret];
}

/** RFC 8693: a token of the company's identity provider is the proof. */
async function federatedIdentity(
  { body }: ApiRequest,
  { federation }: Platform,
): Promise<string> {
  for (const name of ['subject_token', 'subject_token_type', 'scope'])
    if (!body[name])
      throw new OAuthError(400, 'invalid_request', `The ${name} is missing`);
  if (body.subject_token_type !== JWT_TYPE)
    throw new OAuthError(
      400,
      'invalid_request',
      'The subject_token_type is not supported',
    );
  const { subject_token: token, client_id: clientId } = body as Record<
    string,
    string | undefined
  >;
  return federation.userOf(token!, clientId);
}
