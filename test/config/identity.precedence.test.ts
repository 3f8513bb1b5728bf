import type { JsonObject } from '@backstage/types';
import {
  CANARY,
  checkAtStart,
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

describe('of several identities', () => {
  const token = { token: 'dapi-block' };
  const everywhere = () =>
    withProfiles(PROFILE, { ...ENV_HOST, ...ENV_CLIENT });

  it.each<[string, JsonObject, () => Env, object]>([
    [
      'that of the block beats that of the environment',
      token,
      everywhere,
      { token: 'dapi-block', host: ENV_HOST.DATABRICKS_HOST },
    ],
    [
      'that of the environment beats that of the default profile',
      {},
      everywhere,
      { clientId: 'env-id', host: ENV_HOST.DATABRICKS_HOST },
    ],
    [
      'that of the environment beats that of a profile that it names',
      {},
      () =>
        withProfiles('[p]\ntoken = dapi', {
          ...ENV_HOST,
          ...ENV_CLIENT,
          DATABRICKS_CONFIG_PROFILE: 'p',
        }),
      { clientId: 'env-id' },
    ],
    [
      'that of a profile which the block names beats that of the environment',
      { profile: 'p' },
      () =>
        withProfiles('[p]\nhost = https://p.example.com\ntoken = dapi-p', {
          ...ENV_HOST,
          ...ENV_CLIENT,
        }),
      { token: 'dapi-p', host: 'https://p.example.com' },
    ],
    [
      'that of the block takes its host from a profile that it names',
      { ...token, profile: 'DEFAULT' },
      () => withProfiles(PROFILE),
      { token: 'dapi-block', host: 'https://profile.example.com' },
    ],
    [
      'that of the default profile remains',
      {},
      () => withProfiles(PROFILE),
      { token: 'dapi-profile', host: 'https://profile.example.com' },
    ],
  ])('%s', (_, workspace, env, expected) => {
    expect(read(workspace, env())).toMatchObject(expected);
  });

  it.each<[string, JsonObject, Env, string]>([
    [
      'an audience',
      { host: HOST, oidcTokenFile: '/token' },
      { DATABRICKS_TOKEN_AUDIENCE: 'env', DATABRICKS_ACCOUNT_ID: 'env' },
      `${HOST}/oidc/v1/token`,
    ],
  ])(
    'no part is mixed in from elsewhere: %s',
    (_, workspace, env, audience) => {
      expect(read(workspace, env)).toMatchObject({ audience });
    },
  );

  it.each<[string, JsonObject, () => Env, string[]]>([
    [
      'the environment, beside a host of the block',
      { host: HOST },
      () => ({ ...ENV_HOST, ...ENV_CLIENT }),
      [`${KEY}.host`, 'DATABRICKS_HOST'],
    ],
    [
      'the environment with a token, beside a host of the block',
      { host: HOST },
      () => ({ ...ENV_HOST, DATABRICKS_TOKEN: CANARY }),
      [`${KEY}.host`, 'DATABRICKS_HOST'],
    ],
    [
      'a profile, beside a host of the environment',
      {},
      () => withProfiles(PROFILE, ENV_HOST),
      ['DATABRICKS_HOST', "profile 'DEFAULT'"],
    ],
    [
      'a profile, beside a host of the block',
      { host: HOST },
      () => withProfiles(PROFILE),
      [`${KEY}.host`, "profile 'DEFAULT'"],
    ],
  ])(
    'a secret for another workspace is not sent: %s',
    (_, block, env, names) => {
      const message = refusal(block, env());

      expect(message).toContain('is for another workspace');
      for (const name of names) expect(message).toContain(name);
    },
  );

  it.each<[string, JsonObject, () => Env, string[]]>([
    [
      'the environment, beside a default profile that nothing names',
      {},
      () => withProfiles(PROFILE, ENV_CLIENT),
      ["the only host is that of profile 'DEFAULT'", 'Set DATABRICKS_HOST'],
    ],
    [
      'the block, beside a default profile that nothing names',
      token,
      () => withProfiles(PROFILE),
      ["the only host is that of profile 'DEFAULT'", `Set ${KEY}.host`],
    ],
    [
      'a profile without a host, beside a host of the block',
      { host: HOST, profile: 'p' },
      () => withProfiles('[p]\ntoken = dapi-p'),
      ['does not say for which workspace', "host of profile 'p'"],
    ],
    [
      'a profile without a host, beside a host of the environment',
      { profile: 'p' },
      () => withProfiles('[p]\ntoken = dapi-p', ENV_HOST),
      ['does not say for which workspace', "host of profile 'p'"],
    ],
  ])(
    'a secret is not sent to the host of another source: %s',
    (_, block, env, texts) => {
      const message = refusal(block, env());

      for (const text of texts) expect(message).toContain(text);
    },
  );

  it('the same workspace may be named twice, in two ways', () => {
    const env = { DATABRICKS_HOST: 'BLOCK.example.com/', ...ENV_CLIENT };

    expect(read({ host: HOST }, env)).toMatchObject({ clientId: 'env-id' });
  });

  it('no part is mixed in from elsewhere: a client id', () => {
    const workspace = { host: HOST, oidcTokenFile: '/token' };

    expect(read(workspace, ENV_CLIENT).clientId).toBeUndefined();
  });

  it.each<[string, JsonObject, Env, string[]]>([
    [
      'the block',
      { ...client, token: CANARY },
      {},
      [`${KEY}.clientSecret`, `${KEY}.token`, `${KEY}.authType`],
    ],
    [
      'the block, both federated',
      { oidcTokenFile: '/a', oidcTokenEnv: 'B' },
      {},
      [`${KEY}.oidcTokenFile`, `${KEY}.oidcTokenEnv`, `${KEY}.authType`],
    ],
    [
      'the environment',
      {},
      { ...ENV_CLIENT, DATABRICKS_TOKEN: CANARY },
      ['DATABRICKS_CLIENT_SECRET', 'DATABRICKS_TOKEN', 'DATABRICKS_AUTH_TYPE'],
    ],
    [
      'the environment, by the token itself',
      {},
      { DATABRICKS_OIDC_TOKEN: CANARY, DATABRICKS_TOKEN: CANARY },
      ['DATABRICKS_OIDC_TOKEN', 'DATABRICKS_TOKEN', 'DATABRICKS_AUTH_TYPE'],
    ],
  ])(
    'two in %s are an error with the key that chooses',
    (_, block, env, names) => {
      const message = refusal({ host: HOST, ...block }, env);

      for (const name of names) expect(message).toContain(name);
      expect(message).toContain('two identities');
    },
  );

  it('two in a profile are an error with the key that chooses', () => {
    const env = withProfiles(
      `[p]\nhost=x.example.com\ntoken=${CANARY}\nclient_secret=${CANARY}`,
    );

    const message = refusal({ profile: 'p' }, env);

    for (const name of ['token', 'client_secret', 'auth_type', "'p'"])
      expect(message).toContain(name);
  });

  it.each<[string, JsonObject, () => Env, string]>([
    [
      'the block',
      { ...client, token: 'dapi', authType: 'pat' },
      () => ({}),
      'pat',
    ],
    [
      'the environment',
      {},
      () => ({
        ...ENV_CLIENT,
        DATABRICKS_TOKEN: 'dapi',
        DATABRICKS_AUTH_TYPE: 'oauth-m2m',
      }),
      'oauth-m2m',
    ],
    [
      'who names the profile',
      { profile: 'p', authType: 'pat' },
      () =>
        withProfiles(
          `[p]\nhost=${HOST}\ntoken=dapi\nclient_id=x\nclient_secret=y`,
        ),
      'pat',
    ],
  ])('%s may choose', (_, block, env, method) => {
    expect(read({ host: HOST, ...block }, env()).method).toBe(method);
  });
});

describe('plugins with an identity of their own', () => {
  const plugin = (token: string) => ({ lakebase: { workspace: { token } } });
  const identities = (database: JsonObject) =>
    checkAtStart(database).endpoints.map(({ readWorkspace, plugins }) => [
      readWorkspace().identityKeys,
      ...plugins,
    ]);

  it('do not share the credential of another token', () => {
    const shared = { lakebase: { workspace: { token: 'dapi-1' } } };

    expect(
      identities({ ...shared, plugin: { catalog: plugin('dapi-2') } }),
    ).toEqual([
      [`${KEY}.token`],
      ['backend.database.plugin.catalog.lakebase.workspace.token', 'catalog'],
    ]);
  });

  it('share that of the same token', () => {
    const shared = { lakebase: { workspace: { token: 'dapi-1' } } };
    const catalog = { lakebase: { endpoint: LAKEBASE_ENDPOINT } };
    const search = { lakebase: { endpoint: LAKEBASE_ENDPOINT } };

    expect(
      identities({ ...shared, plugin: { catalog, search } }).map(
        ([, ...plugins]) => plugins,
      ),
    ).toEqual([[], ['catalog', 'search']]);
  });
});

describe('a change while the process runs', () => {
  const change = (from: JsonObject, to: JsonObject) => {
    const workspace: JsonObject = { host: HOST, ...from };
    const lakebase = { endpoint: LAKEBASE_ENDPOINT, workspace };
    const { readWorkspace } = readBlock(lakebase);
    for (const key of Object.keys(from)) delete workspace[key];
    Object.assign(workspace, to);
    return readWorkspace;
  };

  it.each<[string, JsonObject, JsonObject]>([
    ['another method', client, { token: 'dapi' }],
    ['another client', client, { ...client, clientId: 'other' }],
    ['another source', { token: 'dapi' }, { authType: 'databricks-cli' }],
  ])('to %s asks for a restart', (_, from, to) => {
    expect(catchRefusal(change(from, to))).toContain('Restart to follow');
  });

  it('to an id token of the same client is followed', () => {
    const { clientId } = client;

    const read = change(client, { clientId, oidcTokenFile: '/token' });

    expect(read()).toMatchObject({ method: 'file-oidc', clientId });
  });

  it('to another token of a profile is followed', () => {
    const env = withProfiles(PROFILE);
    const { readWorkspace } = readBlock({}, { LAKEBASE_ENDPOINT, ...env });

    files.replace(env.DATABRICKS_CONFIG_FILE!, PROFILE.replace('dapi', 'new'));

    expect(readWorkspace()).toMatchObject({ token: 'new-profile' });
  });
});
