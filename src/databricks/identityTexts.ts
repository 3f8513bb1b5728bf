import { quoteForShell } from '../texts';
import { readClaims } from './readClaims';
import { WorkspaceSettings } from './identity';

/** Who calls, as it reads after "Give" or "hidden from". */
export function describeCaller(
  settings: WorkspaceSettings,
  userName?: string,
): string {
  if (settings.clientId) return `service principal ${settings.clientId}`;
  if (userName) return userName;
  switch (settings.method) {
    case 'pat':
      return `the owner of the token in ${settings.identityKeys}`;
    case 'databricks-cli':
      return 'the user who is logged in to the Databricks CLI';
    case 'external':
      return 'the identity of the token provider';
    default:
      return `the identity of ${settings.identityKeys}`;
  }
}

/** What to do when the workspace does not accept this identity. */
export function identityRemedy(settings: WorkspaceSettings): string {
  const { identityKeys, host } = settings;
  switch (settings.method) {
    case 'oauth-m2m':
      return (
        `Check ${identityKeys}: the secret may be wrong, expired or revoked, ` +
        `or belong to another workspace than ${host}`
      );
    case 'pat':
      return (
        `Check ${identityKeys}: the personal access token is wrong, expired ` +
        `or revoked, or belongs to another workspace than ${host}`
      );
    case 'databricks-cli':
      return `Log in again: ${loginCommand(settings)}`;
    case 'external':
      return (
        'The token of the service lakebaseWorkspaceTokenServiceRef is not ' +
        `valid for ${host}: see who provides that service`
      );
    default:
      return (
        `Check the id token of ${identityKeys} and the federation policy of ` +
        `${describeCaller(settings)}`
      );
  }
}

/** What would make the workspace trust this id token, by its claims alone. */
export function federationRemedy(
  settings: WorkspaceSettings,
  idToken: string,
  nowMs: number,
): string {
  const { clientId, identityKeys } = settings;
  const claims = readClaims(idToken);
  if (!claims)
    return `What ${identityKeys} leads to is not an id token (a JWT)`;
  const expiresAtMs = Number(claims.exp) * 1000;
  const said = ['iss', 'sub', 'aud']
    .map(name => `${name} ${JSON.stringify(claims[name])?.slice(0, 300)}`)
    .join(', ');
  return (
    `The id token of ${identityKeys} says ${said}` +
    (expiresAtMs < nowMs ? ', and has expired by our clock' : '') +
    '. There must be a federation policy with this issuer, subject and ' +
    'audience, ' +
    (clientId
      ? `of service principal ${clientId}`
      : 'of the account, or clientId be set to the service principal that ' +
        'has one')
  );
}

export const loginCommand = (settings: WorkspaceSettings) =>
  settings.method === 'databricks-cli' && settings.profile
    ? `databricks auth login --profile ${quoteForShell(settings.profile)}`
    : `databricks auth login --host ${quoteForShell(settings.host)}`;
