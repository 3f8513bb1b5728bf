import type { JsonObject } from '@backstage/types';
import {
  CANARY,
  type Env,
  readBlock,
  catchRefusal,
  temporaryFiles,
} from '../support/appConfig';

const KEY = 'backend.database.lakebase.workspace';
const LAKEBASE_ENDPOINT = 'projects/p/branches/b/endpoints/e';
const HOST = 'https://block.example.com';
const ENV_HOST = { DATABRICKS_HOST: 'https://env.example.com' };

const files = temporaryFiles();

/** The environment with this file of profiles. */
const withProfiles = (text: string, env: Env = {}): Env => ({
  DATABRICKS_CONFIG_FILE: files.file('databrickscfg', text),
  ...env,
});

const read = (workspace: JsonObject, env: Env = {}) =>
  readBlock({ workspace }, { LAKEBASE_ENDPOINT, ...env }).readWorkspace();

const refusal = (workspace: JsonObject, env: Env = {}) =>
  catchRefusal(() => read(workspace, env));

const client = { clientId: 'block-id', clientSecret: `${CANARY}-block` };
const ENV_CLIENT = {
  DATABRICKS_CLIENT_ID: 'env-id',
  DATABRICKS_CLIENT_SECRET: `${CANARY}-env`,
};
const PROFILE = `
[DEFAULT]
host = https://profile.example.com
token = dapi-profile
`;

describe('an identity', () => {
  it.each<[string, JsonObject, Env, object]>([
    ['a client', client, {}, { method: 'oauth-m2m', ...client }],
    [
      'a personal access token',
      { token: ' dapi-block\n' },
      {},
      { method: 'pat', token: 'dapi-block', identityKeys: `${KEY}.token` },
    ],
    [
      'a file with an id token',
      { oidcTokenFile: '/var/run/token', clientId: 'sp', audience: 'us' },
      {},
      {
        method: 'file-oidc',
        tokenFile: '/var/run/token',
        clientId: 'sp',
        audience: 'us',
        identityKeys: `${KEY}.oidcTokenFile`,
      },
    ],
    [
      'a variable with an id token',
      { oidcTokenEnv: 'MINE' },
      { MINE: 'a.b.c' },
      {
        method: 'env-oidc',
        idToken: 'a.b.c',
        clientId: undefined,
        audience: `${HOST}/oidc/v1/token`,
        identityKeys: 'MINE',
      },
    ],
    [
      'the usual variable, by the name of the method',
      { authType: 'env-oidc' },
      { DATABRICKS_OIDC_TOKEN: 'a.b.c' },
      { method: 'env-oidc', idToken: 'a.b.c' },
    ],
    [
      'GitHub Actions',
      { authType: 'github-oidc', clientId: 'sp' },
      {
        ACTIONS_ID_TOKEN_REQUEST_URL: 'https://github.example.com/x?y=z',
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
      },
      {
        method: 'github-oidc',
        clientId: 'sp',
        requestUrl: 'https://github.example.com/x?y=z',
        requestToken: 'request-token',
      },
    ],
    [
      'the Databricks CLI',
      { authType: 'databricks-cli' },
      {},
      { method: 'databricks-cli', command: 'databricks' },
    ],
    [
      'the Databricks CLI elsewhere',
      { authType: 'databricks-cli' },
      { DATABRICKS_CLI_PATH: '/opt/databricks' },
      { method: 'databricks-cli', command: '/opt/databricks' },
    ],
    [
      'a service of the backend',
      { authType: 'external' },
      {},
      { method: 'external', identityKeys: `${KEY}.authType` },
    ],
  ])('can be %s in the block', (_, workspace, env, expected) => {
    expect(read({ host: HOST, ...workspace }, env)).toMatchObject({
      host: HOST,
      ...expected,
    });
  });

  it.each<[string, Env, object]>([
    ['a client', ENV_CLIENT, { method: 'oauth-m2m', clientId: 'env-id' }],
    [
      'a personal access token',
      { DATABRICKS_TOKEN: 'dapi-env' },
      { method: 'pat', token: 'dapi-env', identityKeys: 'DATABRICKS_TOKEN' },
    ],
    [
      'a file with an id token',
      { DATABRICKS_OIDC_TOKEN_FILEPATH: '/token', DATABRICKS_CLIENT_ID: 'sp' },
      { method: 'file-oidc', tokenFile: '/token', clientId: 'sp' },
    ],
    [
      'a variable with an id token',
      { DATABRICKS_OIDC_TOKEN_ENV: 'MINE', MINE: 'a.b.c' },
      { method: 'env-oidc', idToken: 'a.b.c', identityKeys: 'MINE' },
    ],
    [
      'the usual variable with an id token',
      { DATABRICKS_OIDC_TOKEN: 'a.b.c' },
      { method: 'env-oidc', identityKeys: 'DATABRICKS_OIDC_TOKEN' },
    ],
    [
      'the Databricks CLI',
      { DATABRICKS_AUTH_TYPE: 'databricks-cli' },
      { method: 'databricks-cli', identityKeys: 'DATABRICKS_AUTH_TYPE' },
    ],
  ])('can be %s in the environment', (_, env, expected) => {
    expect(read({}, { ...ENV_HOST, ...env })).toMatchObject({
      host: ENV_HOST.DATABRICKS_HOST,
      hostKey: 'DATABRICKS_HOST',
      ...expected,
    });
  });

  it.each<[string, string, object]>([
    [
      'a client',
      'client_id = sp\nclient_secret = dose',
      { method: 'oauth-m2m', clientId: 'sp', clientSecret: 'dose' },
    ],
    ['a personal access token', 'token = dapi', { method: 'pat' }],
    [
      'a file with an id token',
      'databricks_id_token_filepath = /token\nclient_id = sp\naccount_id = acc',
      { method: 'file-oidc', tokenFile: '/token', audience: 'acc' },
    ],
    [
      'the Databricks CLI',
      'auth_type = databricks-cli',
      { method: 'databricks-cli', profile: 'mine' },
    ],
  ])('can be %s in a profile', (_, text, expected) => {
    const env = withProfiles(
      `[mine]\nhost = https://profile.example.com/\n${text}`,
    );

    const settings = read({ profile: 'mine' }, env);

    expect(settings).toMatchObject(expected);
    expect(settings.host).toBe('https://profile.example.com');
    expect(settings.identityKeys).toContain("profile 'mine'");
    expect(settings.identityKeys).toContain(env.DATABRICKS_CONFIG_FILE);
  });

  it.each<[string, Env, string]>([
    ['what is asked for', { DATABRICKS_TOKEN_AUDIENCE: 'asked' }, 'asked'],
    ['the account', {}, 'account'],
  ])('is made out to %s', (_, env, audience) => {
    const settings = read(
      {},
      {
        ...ENV_HOST,
        DATABRICKS_OIDC_TOKEN_FILEPATH: '/token',
        DATABRICKS_ACCOUNT_ID: 'account',
        ...env,
      },
    );

    expect(settings).toMatchObject({ audience });
  });
});

describe('settings that lead nowhere', () => {
  it.each<[string, JsonObject, Env, string[]]>([
    ['nothing at all', {}, {}, [KEY, 'DATABRICKS_CLIENT_ID', 'authType']],
    [
      'a chosen method without what it takes',
      { ...client, authType: 'pat' },
      { DATABRICKS_TOKEN: 'dapi' },
      [`${KEY}.token is missing`],
    ],
    [
      'a variable that is not set',
      { oidcTokenEnv: 'MINE' },
      {},
      ['MINE is missing', `${KEY}.oidcTokenEnv`],
    ],
    [
      'GitHub without the permission',
      { authType: 'github-oidc' },
      {},
      ['ACTIONS_ID_TOKEN_REQUEST_URL', 'id-token: write'],
    ],
    [
      'GitHub over a channel that anybody can read',
      { authType: 'github-oidc' },
      {
        ACTIONS_ID_TOKEN_REQUEST_URL: 'http://github.example.com/x',
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: CANARY,
      },
      ['ACTIONS_ID_TOKEN_REQUEST_URL must start with https://'],
    ],
    [
      'a method of others',
      { authType: 'azure-cli' },
      {},
      ['azure-cli', 'external', 'lakebaseWorkspaceTokenServiceRef'],
    ],
    [
      'a method that nobody knows',
      {},
      { DATABRICKS_AUTH_TYPE: 'm2m' },
      ["DATABRICKS_AUTH_TYPE is 'm2m'", 'oauth-m2m', 'external'],
    ],
  ])('are told: %s', (_, workspace, env, names) => {
    const message = refusal({ host: HOST, ...workspace }, env);

    for (const name of names) expect(message).toContain(name);
  });

  const jwt = (expiresInMs: number) =>
    ['{}', JSON.stringify({ exp: (Date.now() + expiresInMs) / 1000 }), CANARY]
      .map(part => Buffer.from(part).toString('base64url'))
      .join('.');

  it.each([
    ['alive', 3_600_000],
    ['expired', -3_600_000],
  ])(
    'are told: a database credential that is %s as DATABRICKS_TOKEN',
    (_, ms) => {
      const token = jwt(ms);

      const message = refusal({}, { ...ENV_HOST, DATABRICKS_TOKEN: token });

      expect(message).toContain(
        'DATABRICKS_TOKEN is not a personal access token',
      );
      expect(message).toContain('database credential');
      expect(message).not.toContain(token);
    },
  );

  it('are told before it is said that there is another identity', () => {
    const env = { ...ENV_CLIENT, DATABRICKS_TOKEN: jwt(3_600_000) };

    expect(refusal({ host: HOST }, env)).toContain(
      'not a personal access token',
    );
  });

  it('are no matter when a better source has an identity', () => {
    const env = { DATABRICKS_TOKEN: jwt(3_600_000) };

    expect(read({ host: HOST, ...client }, env).method).toBe('oauth-m2m');
  });

  it('are told: the profile of another workspace', () => {
    const message = refusal({ host: HOST }, withProfiles(PROFILE));

    expect(message).toContain("profile 'DEFAULT'");
    expect(message).toContain(`${KEY}.host`);
    expect(message).toContain(HOST);
  });
});
