import { ConfigurationError } from '../errors';
import { WorkspaceBlock } from './configSchema';
import { readClaims } from '../databricks/readClaims';
import { listProfiles } from './databricksProfile';
import { Identity, tokenUrl, WorkspaceSettings } from '../databricks/identity';
import {
  Env,
  listSources,
  readEnvironment,
  Setting,
  Source,
} from './identitySources';
import { isLoopback } from '../databricks/loopback';

type Method = Identity['method'];

/** What each method is known by, when no auth type says it. */
const MARKS: [Method, Setting[]][] = [
  ['oauth-m2m', ['clientSecret']],
  ['pat', ['token']],
  ['file-oidc', ['oidcTokenFile']],
  ['env-oidc', ['oidcTokenEnv', 'oidcToken']],
];

const METHODS: Method[] = [
  'oauth-m2m',
  'pat',
  'file-oidc',
  'env-oidc',
  'github-oidc',
  'databricks-cli',
  'external',
];

/** A personal access token lives for days at least, all other tokens for less. */
const SHORT_LIFE_MS = 24 * 60 * 60_000;

/**
 * Reads which workspace to call, and as whom. The identity comes from one
 * source as a whole; only the host may come from another one below it.
 *
 * @param key - Where the block lies in app-config.
 * @throws ConfigurationError that names the key and the remedy.
 */
export function readWorkspaceSettings(
  key: string,
  block: WorkspaceBlock,
  env: Env,
): WorkspaceSettings {
  const host = readHost(key, block, env);
  const asked: Source[] = [];
  for (const source of listSources(key, block, env)) {
    asked.push(source);
    if (!hasIdentity(source)) continue;
    checkSameHost(source, host);
    // Not from a profile that nothing else is needed from.
    asked.push(readEnvironment(env));
    const workspaceId = findWorkspaceId(host, asked);
    const context = { source, env, host: host.value };
    return {
      ...readIdentity(findMethod(source), context),
      host: host.value,
      hostKey: host.key,
      ...(workspaceId && { workspaceId }),
    };
  }
  throw new ConfigurationError(
    `${key} names no identity`,
    suggestProfile(key, env) ??
      'Set clientId and clientSecret there, or DATABRICKS_CLIENT_ID and ' +
        'DATABRICKS_CLIENT_SECRET, to an OAuth secret of a service principal; ' +
        'or else token, oidcTokenFile, oidcTokenEnv, profile, or authType',
  );
}

/** A file without a default profile may have the one that is meant. */
function suggestProfile(key: string, env: Env): string | undefined {
  const names = listProfiles(env).filter(name => name !== 'DEFAULT');
  return names.length === 0
    ? undefined
    : `Set it, or name a profile in ${key}.profile or ` +
        `DATABRICKS_CONFIG_PROFILE: there are ${names.join(', ')}`;
}

/** A name or an address; not what a second scheme or a quote leaves of one. */
const HOST_NAME = /^(?!https?$)(?:[\w.-]+|\[[\da-f:.]+\])$/i;

interface Host {
  value: string;
  key: string;
  /** What the URL says of the workspace, as browsers show it. */
  workspaceId?: string;
  /** The default profile, which it is from though nobody named it. */
  of?: string;
}

function readHost(key: string, block: WorkspaceBlock, env: Env): Host {
  for (const source of listSources(key, block, env)) {
    const value = source.get('host');
    if (value === undefined) continue;
    const name = source.nameOf('host');
    const { origin, searchParams } = readUrl(value, name);
    const workspaceId = searchParams.get('o') ?? searchParams.get('w');
    return {
      value: origin,
      key: name,
      ...(workspaceId !== null && { workspaceId }),
      ...(source.unnamed && { of: source.profile }),
    };
  }
  throw new ConfigurationError(
    `${key}.host is missing`,
    suggestProfile(key, env) ??
      "Set it, or DATABRICKS_HOST, to the workspace's URL, such as " +
        'https://dbc-1234.cloud.databricks.com',
  );
}

function readUrl(value: string, key: string): URL {
  const withScheme = /^[a-z]+:\/\//i.test(value) ? value : `https://${value}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (!url || url.username || url.password || !HOST_NAME.test(url.hostname)) {
    throw new ConfigurationError(
      `${key} is not the URL of a workspace, such as ` +
        'https://dbc-1234.cloud.databricks.com',
    );
  }
  checkSecure(url, key);
  return url;
}

function checkSecure({ protocol, hostname }: URL, key: string): void {
  const secure =
    protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
  if (!secure) {
    throw new ConfigurationError(
      `${key} must start with https://, since a secret is sent there`,
      'Plain http is accepted to a loopback address only',
    );
  }
}

/** Of the host that a source itself names. */
function findOrigin(source: Source): string | undefined {
  const own = source.get('host');
  return own === undefined
    ? undefined
    : readUrl(own, source.nameOf('host')).origin;
}

/** From the URL, or the first source that names no other host. */
function findWorkspaceId(host: Host, sources: Source[]): string | undefined {
  if (host.workspaceId) return host.workspaceId;
  for (const source of sources) {
    const id = source.get('workspaceId');
    const origin = findOrigin(source) ?? host.value;
    // What Databricks' tools write for a host that serves one workspace.
    if (id && origin === host.value) return id === 'none' ? undefined : id;
  }
  return undefined;
}

const hasIdentity = (source: Source) =>
  source.get('clientId') !== undefined ||
  findMarks(source).length > 0 ||
  // Beside a profile it chooses among what that has.
  (source.get('authType') !== undefined && source.get('profile') === undefined);

const findMarks = (source: Source) =>
  MARKS.flatMap(([method, settings]) => {
    const setting = settings.find(one => source.get(one) !== undefined);
    return setting ? [{ method, setting }] : [];
  });

/**
 * A secret goes to the workspace that its own source names, and to no other:
 * nor to that of a profile that is only there, or from one that names none.
 */
function checkSameHost(source: Source, host: Host): void {
  const origin = findOrigin(source);
  if (origin === host.value) return;
  const whose = source.profile
    ? `of profile '${source.profile}'`
    : `that ${source.nameOf('clientId')} and its like give`;
  if (origin !== undefined) {
    throw new ConfigurationError(
      `The only identity is that ${whose}, which is for another workspace ` +
        `(${source.nameOf('host')}: ${origin}) than ${host.key} (${host.value})`,
      `Set an identity where ${host.key} is set, or make both hosts the same`,
    );
  }
  const holdsSecret = findMarks(source).length > 0;
  if (host.of !== undefined && source.profile !== host.of) {
    throw new ConfigurationError(
      `The identity is the one ${whose}, but the only host is that of profile ` +
        `'${host.of}', which nothing names`,
      `Set ${source.nameOf('host')} to the workspace of that identity`,
    );
  }
  if (source.profile && holdsSecret) {
    throw new ConfigurationError(
      `The only identity is the one ${whose}, which does not say for which ` +
        `workspace it is, and ${host.key} is set elsewhere`,
      `Set ${source.nameOf('host')}`,
    );
  }
}

function findMethod(source: Source): Method {
  const name = source.get('authType');
  if (name !== undefined) {
    const method = METHODS.find(known => known === name);
    return method ?? refuseMethod(name, source.nameOf('authType'));
  }
  if (source.get('token')) readToken(source);
  const marks = findMarks(source);
  if (marks.length > 1) {
    const [one, other] = marks;
    throw new ConfigurationError(
      `${source.nameOf(one.setting)} (${one.method}) and ` +
        `${source.nameOf(other.setting)} (${other.method}) are two identities`,
      `Remove one, or choose with ${source.nameOf('authType')}`,
    );
  }
  return marks[0]?.method ?? 'oauth-m2m';
}

function refuseMethod(name: string, key: string): never {
  throw new ConfigurationError(
    `${key} is '${name}', which is not built in`,
    `It must be one of ${METHODS.join(', ')}; with 'external', add a service ` +
      'factory for lakebaseWorkspaceTokenServiceRef to the backend that gets ' +
      'the tokens',
  );
}

interface Context {
  source: Source;
  env: Env;
  host: string;
}

type SourcedIdentity = Identity & { identityKeys: string };

function readIdentity(method: Method, context: Context): SourcedIdentity {
  const { source, env } = context;
  switch (method) {
    case 'oauth-m2m':
      return readClient(source);
    case 'pat':
      return {
        method,
        token: readToken(source),
        identityKeys: source.nameOf('token'),
      };
    case 'file-oidc':
      return {
        method,
        tokenFile: readNeeded(source, 'oidcTokenFile'),
        ...readFederation(context),
        identityKeys: source.nameOf('oidcTokenFile'),
      };
    case 'env-oidc':
      return { ...readIdTokenVariable(context), ...readFederation(context) };
    case 'github-oidc':
      return { ...readGithub(env), ...readFederation(context) };
    case 'databricks-cli':
      return {
        method,
        command: env.DATABRICKS_CLI_PATH?.trim() || 'databricks',
        ...(source.get('host') && { profile: source.profile }),
        identityKeys: source.nameOf('authType'),
      };
    case 'external':
      return { method, identityKeys: source.nameOf('authType') };
  }
}

function readClient(source: Source): SourcedIdentity {
  return {
    method: 'oauth-m2m',
    clientId: readNeeded(source, 'clientId'),
    clientSecret: readNeeded(source, 'clientSecret'),
    identityKeys: `${source.nameOf('clientId')} and ${source.nameOf('clientSecret')}`,
  };
}

function readToken(source: Source): string {
  const token = readNeeded(source, 'token');
  // Without a time of issue, which all tokens that are short-lived have in
  // practice, a token with an end counts as one of them.
  const { exp, iat = exp } = readClaims(token) ?? {};
  const expiresAtMs = Number(exp) * 1000;
  if (expiresAtMs - Number(iat) * 1000 < SHORT_LIFE_MS) {
    throw new ConfigurationError(
      `${source.nameOf('token')} is not a personal access token but a token ` +
        `that ends at ${new Date(expiresAtMs).toISOString()}, such as a ` +
        'database credential that a script put there',
      'Remove it, and such a script: credentials are minted here, with a ' +
        'personal access token or another identity of the workspace',
    );
  }
  return token;
}

function readIdTokenVariable({ source, env }: Context) {
  const variable = source.get('oidcTokenEnv') ?? 'DATABRICKS_OIDC_TOKEN';
  const idToken = env[variable]?.trim();
  if (!idToken) {
    throw new ConfigurationError(
      `The environment variable ${variable} is missing`,
      `Set it to an id token, or name another variable in ${source.nameOf('oidcTokenEnv')}`,
    );
  }
  return { method: 'env-oidc' as const, idToken, identityKeys: variable };
}

function readGithub(env: Env) {
  const requestUrl = env.ACTIONS_ID_TOKEN_REQUEST_URL?.trim();
  const requestToken = env.ACTIONS_ID_TOKEN_REQUEST_TOKEN?.trim();
  const identityKeys = 'ACTIONS_ID_TOKEN_REQUEST_URL';
  if (!requestUrl || !requestToken || !URL.canParse(requestUrl)) {
    throw new ConfigurationError(
      `${identityKeys} or ACTIONS_ID_TOKEN_REQUEST_TOKEN is missing`,
      "GitHub Actions sets both for a job with 'permissions: id-token: write'",
    );
  }
  checkSecure(new URL(requestUrl), identityKeys);
  return {
    method: 'github-oidc' as const,
    requestUrl,
    requestToken,
    identityKeys,
  };
}

const readFederation = ({ source, host }: Context) => ({
  clientId: source.get('clientId'),
  audience: source.get('audience') ?? source.get('accountId') ?? tokenUrl(host),
});

function readNeeded(source: Source, setting: Setting): string {
  const value = source.get(setting);
  if (value === undefined) {
    throw new ConfigurationError(
      `${source.nameOf(setting)} is missing, or what it refers to is: a ` +
        'variable that is not set, or an empty file',
      'Set it beside the rest of this identity, or all of the identity in ' +
        'another place: nothing but the host may come from elsewhere',
    );
  }
  return value;
}
