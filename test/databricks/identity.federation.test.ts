import { writeFileSync } from 'node:fs';
import type { JsonObject } from '@backstage/types';
import { decodeJwt } from 'jose';
import { type Emulator, GITHUB_SUBJECT } from '../../emulator';
import type { Workspace } from '../../src/databricks/workspace';
import { type Env, temporaryFiles } from '../support/appConfig';
import { startTestEmulator } from '../support/emulator';
import { json, ScriptedServer } from '../support/scriptedServer';
import {
  catchFailure,
  fakeOnly,
  createWorkspaceBy,
} from '../support/workspaces';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const USER = 'jane@example.com';
const SUBJECT = 'system:serviceaccount:portal:backstage';
const KEY = 'backend.database.lakebase.workspace';

const files = temporaryFiles();
let emulator: Emulator;
let clientId: string;
let earlierCalls: number;

beforeAll(async () => {
  emulator = await startTestEmulator();
  ({ clientId } = emulator.servicePrincipal);
  await emulator.addUser({ email: USER, role: false });
  const { controlPlane } = emulator;
  controlPlane.addFederationPolicy({ clientId, subject: SUBJECT });
  controlPlane.addFederationPolicy({ clientId, subject: GITHUB_SUBJECT });
  controlPlane.addFederationPolicy({ subject: USER });
});
beforeEach(() => {
  earlierCalls = emulator.controlPlane.calls.length;
});
afterEach(() => {
  jest.useRealTimers();
  emulator.controlPlane.recover();
  emulator.controlPlane.clockOffsetMs = 0;
});
afterAll(() => emulator.stop());

const made = () =>
  emulator.controlPlane.calls
    .slice(earlierCalls)
    .map(({ route, status }) => `${route} ${status}`);

const MINTED = ['token 200', 'credentials 200'];

/** In whose name a credential is minted. */
async function mintedBy(workspace: Workspace): Promise<unknown> {
  const { token } = await workspace.mintCredential();
  return decodeJwt(token).sub;
}

const tokenUrl = () => `${emulator.controlPlane.url}/oidc/v1/token`;

const idToken = (
  options: Partial<
    Parameters<Emulator['identityProvider']['issueToken']>[0]
  > = {},
) =>
  emulator.identityProvider.issueToken({
    subject: SUBJECT,
    audience: tokenUrl(),
    ...options,
  });

describe('a file with an id token', () => {
  const workspaceWith = (oidcTokenFile: string, rest: JsonObject = {}) =>
    createWorkspaceBy(emulator, { oidcTokenFile, clientId, ...rest });
  const fileWith = (content: string) => files.file('token', content);

  it('is exchanged for a token of the service principal', async () => {
    const file = fileWith(`${await idToken()}\n`);

    await expect(mintedBy(workspaceWith(file))).resolves.toBe(clientId);
    expect(made()).toEqual(MINTED);
    const [exchange] = emulator.controlPlane.calls.slice(earlierCalls);
    expect(exchange.authorization).toBeUndefined();
  });

  it('is exchanged for one of the user, by a policy of the account', async () => {
    const file = fileWith(await idToken({ subject: USER }));
    const workspace = createWorkspaceBy(emulator, { oidcTokenFile: file });

    await expect(mintedBy(workspace)).resolves.toBe(USER);
  });

  it('is read again at each exchange, for it is replaced before it ends', async () => {
    fakeOnly('Date');
    const file = fileWith(await idToken({ lifeMs: 10 * MINUTE }));
    const workspace = workspaceWith(file);
    await workspace.mintCredential();

    jest.setSystemTime(Date.now() + 2 * HOUR);
    writeFileSync(file, await idToken());
    await workspace.mintCredential();

    expect(made()).toEqual([...MINTED, ...MINTED]);
  });

  it.each([
    ['ahead', 2 * HOUR],
    ['behind', -2 * HOUR],
  ])(
    "is of use when the workspace's clock is two hours %s",
    async (_, offset) => {
      emulator.controlPlane.clockOffsetMs = offset;
      const file = fileWith(await idToken());

      await expect(mintedBy(workspaceWith(file))).resolves.toBe(clientId);
    },
  );

  it.each<[string, Parameters<typeof idToken>[0], string[]]>([
    ['for another audience', { audience: 'somebody' }, ['"somebody"']],
    ['of another subject', { subject: 'nobody' }, ['"nobody"']],
    [
      'of another issuer',
      { issuer: 'https://evil.example.com' },
      ['"https://evil.example.com"'],
    ],
    ['that has expired', { lifeMs: -MINUTE }, ['has expired']],
  ])(
    'leads to the policy and to its own claims, when it is one %s',
    async (_, options, parts) => {
      const token = await idToken(options);
      const workspace = workspaceWith(fileWith(token));

      const error = await catchFailure(workspace.mintCredential(), [
        token,
        token.split('.')[2],
      ]);

      expect(error).toMatchObject({ code: 'client-refused', permanent: true });
      for (const part of [
        ...parts,
        'federation policy',
        clientId,
        `${KEY}.oidcTokenFile`,
      ])
        expect(error.message).toContain(part);
      expect(made()).toEqual([expect.stringMatching(/^token 40/)]);
    },
  );

  it('leads to the policy, when it is for another service principal', async () => {
    const file = fileWith(await idToken());
    const other = { clientId: '11111111-2222-3333-4444-555555555555' };

    const error = await catchFailure(
      workspaceWith(file, other).mintCredential(),
      [],
    );

    expect(error.code).toBe('client-refused');
    expect(error.message).toContain(other.clientId);
  });

  it.each<[string, () => string, string]>([
    ['is missing', () => '/nowhere/token', 'cannot be read (ENOENT)'],
    ['is empty', () => fileWith(' \n'), 'is empty'],
  ])('is told by name when it %s', async (_, path, problem) => {
    const file = path();

    const error = await catchFailure(workspaceWith(file).mintCredential(), []);

    expect(error).toMatchObject({ code: 'client-refused', permanent: true });
    for (const part of [`${KEY}.oidcTokenFile`, file, problem])
      expect(error.message).toContain(part);
    expect(made()).toEqual([]);
  });

  it('is told to be no id token when it holds something else', async () => {
    const file = fileWith('canary-0123456789');

    const error = await catchFailure(workspaceWith(file).mintCredential(), [
      'canary',
    ]);

    expect(error.message).toContain('not an id token');
  });
});

describe('a variable with an id token', () => {
  it('is exchanged for a token of the service principal', async () => {
    const env = { MINE: await idToken() };
    const block = { oidcTokenEnv: 'MINE', clientId };

    await expect(
      mintedBy(createWorkspaceBy(emulator, block, env)),
    ).resolves.toBe(clientId);
  });

  it('leads to the policy when it is refused', async () => {
    const env = { MINE: await idToken({ audience: 'somebody' }) };
    const workspace = createWorkspaceBy(
      emulator,
      { oidcTokenEnv: 'MINE' },
      env,
    );

    const error = await catchFailure(workspace.mintCredential(), [env.MINE]);

    expect(error.message).toContain('id token of MINE');
    expect(error.message).toContain('clientId');
  });
});

describe('a job of GitHub Actions', () => {
  const github = (env: Env = {}, block: JsonObject = {}) =>
    createWorkspaceBy(
      emulator,
      { authType: 'github-oidc', clientId, ...block },
      {
        ACTIONS_ID_TOKEN_REQUEST_URL:
          emulator.identityProvider.githubRequestUrl,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN:
          emulator.identityProvider.githubRequestToken,
        ...env,
      },
    );

  it('gets an id token that is exchanged', async () => {
    await expect(mintedBy(github())).resolves.toBe(clientId);
    expect(made()).toEqual(['githubIdToken 200', ...MINTED]);
  });

  it('asks for the audience of the policy', async () => {
    const audience = 'https://accounts.example.com/?a=b&c';
    const { controlPlane } = emulator;
    const other = await emulator.addServicePrincipal({ role: false });
    controlPlane.addFederationPolicy({
      clientId: other.clientId,
      subject: GITHUB_SUBJECT,
      audience,
    });

    const block = { clientId: other.clientId, audience };
    await expect(mintedBy(github({}, block))).resolves.toBe(other.clientId);
  });

  it('leads to the permission of the job when GitHub refuses', async () => {
    const env = { ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'canary-wrong' };

    const error = await catchFailure(github(env).mintCredential(), ['canary']);

    expect(error).toMatchObject({ code: 'client-refused', permanent: true });
    expect(error.message).toContain('GitHub refused');
    expect(error.message).toContain('id-token: write');
    expect(made()).toEqual(['githubIdToken 401']);
  });

  it('is not led elsewhere by a redirect', async () => {
    const elsewhere = await ScriptedServer.start(json({}));
    emulator.controlPlane.answer('githubIdToken', {
      status: 307,
      headers: { Location: elsewhere.url },
      body: '',
    });

    const error = await catchFailure(github().mintCredential(), []);

    expect(error.code).toBe('workspace-redirected');
    expect(error.message).toContain('ACTIONS_ID_TOKEN_REQUEST_URL');
    expect(elsewhere.connections).toBe(0);
    await elsewhere.stop();
  });
});
