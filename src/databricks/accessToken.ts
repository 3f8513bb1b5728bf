import { LakebaseError } from '../errors';
import { Credential } from '../tokenRefresher';
import { readTokenOfCli } from './databricksCli';
import { readIdTokenFile, requestGithubToken } from './idToken';
import { exchangeClientSecret, exchangeIdToken } from './oauth';
import { CutShort, oneAttempt } from './oneAttempt';
import type { TokenRequest } from './tokenRequest';

/**
 * The life of a personal access token is unknown. It is read again after this
 * time, so a replaced one is used soon.
 */
const STATIC_TOKEN_LIFE_MS = 5 * 60_000;

/**
 * Gets a token for the workspace's API, in one attempt.
 *
 * @throws LakebaseError
 */
export async function getAccessToken(
  request: TokenRequest,
): Promise<Credential> {
  const credential = await getToken(request);
  // Else fetch would refuse it, with the token in its message.
  if (!/^[\x21-\x7e]+$/.test(credential.token)) {
    throw new LakebaseError('client-refused', {
      problem:
        `What ${request.settings.identityKeys} leads to is not a token: it is ` +
        'empty, or holds characters that tokens do not have',
    });
  }
  return credential;
}

async function getToken(request: TokenRequest): Promise<Credential> {
  const { settings } = request;
  switch (settings.method) {
    case 'oauth-m2m':
      return exchangeClientSecret(
        request,
        settings.clientId,
        settings.clientSecret,
      );
    case 'pat':
      return { token: settings.token, lifeMs: STATIC_TOKEN_LIFE_MS };
    case 'file-oidc':
      return exchangeIdToken(request, await readIdTokenFile(request, settings));
    case 'env-oidc':
      return exchangeIdToken(request, settings.idToken);
    case 'github-oidc':
      return exchangeIdToken(
        request,
        await requestGithubToken(request, settings),
      );
    case 'databricks-cli':
      return readTokenOfCli(request, settings);
    case 'external':
      return requestExternalToken(request);
  }
}

async function requestExternalToken(
  request: TokenRequest,
): Promise<Credential> {
  const { settings, external, clock } = request;
  const { token, expiresAt } = await oneAttempt(
    attempt =>
      external!.getToken({ workspaceHost: settings.host, signal: attempt }),
    explainExternalFailure,
    request,
  );
  const lifeMs = Number(expiresAt) - clock.wall();
  if (typeof token !== 'string' || !(lifeMs > 0)) {
    throw new LakebaseError('workspace-reply-invalid', {
      problem:
        'The service lakebaseWorkspaceTokenServiceRef gave no token that is ' +
        'valid now: it has to give { token: string, expiresAt: Date }',
    });
  }
  return { token: token.trim(), lifeMs };
}

function explainExternalFailure(error: unknown, cutShort: CutShort): Error {
  // Its provider may know best whether waiting helps.
  if (error instanceof LakebaseError) return error;
  const problem =
    'The service lakebaseWorkspaceTokenServiceRef gave no token' +
    (cutShort ? `: ${cutShort}` : '');
  return new LakebaseError(
    'workspace-unreachable',
    { problem },
    { cause: cutShort ? undefined : error },
  );
}
