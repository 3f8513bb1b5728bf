import { writeFileSync } from 'node:fs';
import { decodeJwt } from 'jose';
import type { Emulator } from '../../emulator';
import type { LakebaseWorkspaceTokenService } from '../../src';
import type { Workspace } from '../../src/databricks/workspace';
import { LakebaseError } from '../../src/errors';
import { temporaryFiles } from '../support/appConfig';
import { startTestEmulator } from '../support/emulator';
import {
  catchFailure,
  fakeOnly,
  createWorkspaceBy,
} from '../support/workspaces';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const USER = 'jane@example.com';
const KEY = 'backend.database.lakebase.workspace';

const files = temporaryFiles();
let emulator: Emulator;
let clientId: string;
let earlierCalls: number;

beforeAll(async () => {
  emulator = await startTestEmulator();
  ({ clientId } = emulator.servicePrincipal);
  await emulator.addUser({ email: USER, role: false });
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

/** In whose name a credential is minted. */
async function mintedBy(workspace: Workspace): Promise<unknown> {
  const { token } = await workspace.mintCredential();
  return decodeJwt(token).sub;
}

describe('a personal access token', () => {
  const patOf = (userName: string) =>
    emulator.controlPlane.createPersonalAccessToken(userName);

  it('is presented as it is, without an exchange', async () => {
    const workspace = createWorkspaceBy(emulator, { token: patOf(USER) });

    await expect(mintedBy(workspace)).resolves.toBe(USER);
    expect(made()).toEqual(['credentials 200']);
  });

  it.each([
    ['when it is refused', () => emulator.controlPlane.revokeWorkspaceTokens()],
    ['within minutes', () => jest.setSystemTime(Date.now() + 5 * MINUTE)],
  ])('that was replaced on disk is used %s', async (_, when) => {
    fakeOnly('Date');
    const profile = (token: string) =>
      `[DEFAULT]\nhost = ${emulator.controlPlane.url}\ntoken = ${token}\n`;
    const file = files.file('cfg', profile(patOf(USER)));
    const env = { DATABRICKS_CONFIG_FILE: file };
    const workspace = createWorkspaceBy(emulator, {}, env);
    await workspace.mintCredential();

    when();
    writeFileSync(file, profile(patOf(clientId)));

    await expect(mintedBy(workspace)).resolves.toBe(clientId);
  });

  it('that was revoked is told to be wrong or expired, and not sent again', async () => {
    const token = patOf(USER);
    const workspace = createWorkspaceBy(emulator, { token });
    await workspace.mintCredential();
    emulator.controlPlane.revokeWorkspaceTokens();

    const error = await catchFailure(workspace.mintCredential(), [token]);

    expect(error).toMatchObject({
      code: 'access-token-refused',
      permanent: true,
    });
    expect(error.message).toContain('wrong, expired or revoked');
    expect(error.message).toContain(`${KEY}.token`);
    expect(made()).toEqual(['credentials 200', 'credentials 401']);
  });

  it('is of use again after a refusal that was a mistake', async () => {
    const workspace = createWorkspaceBy(emulator, { token: patOf(USER) });
    emulator.controlPlane.answer('credentials', { status: 401 }, { times: 1 });
    await catchFailure(workspace.mintCredential(), []);

    await expect(mintedBy(workspace)).resolves.toBe(USER);
  });

  it('with a character that no token has is told without it', async () => {
    const token = 'dapi-canary\u0001';
    const workspace = createWorkspaceBy(emulator, { token });

    const error = await catchFailure(workspace.mintCredential(), ['canary']);

    expect(error.message).toContain(`${KEY}.token`);
    expect(made()).toEqual([]);
  });

  it('without a grant leads to the grant of its owner', async () => {
    emulator.controlPlane.answer('credentials', { status: 403 });
    const workspace = createWorkspaceBy(emulator, { token: patOf(USER) });
    await workspace.findUser();

    const error = await catchFailure(workspace.mintCredential(), []);

    expect(error.message).toContain(`Give ${USER} CAN USE`);
  });
});

describe('a service that gets the tokens', () => {
  const external = (getToken: LakebaseWorkspaceTokenService['getToken']) =>
    createWorkspaceBy(
      emulator,
      { authType: 'external' },
      {},
      {
        external: { getToken },
      },
    );
  const workspaceToken = (lifeMs = HOUR) => ({
    token: emulator.controlPlane.issueWorkspaceToken(USER, { lifeMs }),
    expiresAt: new Date(Date.now() + lifeMs),
  });

  it('is told the workspace, and its token is used until it expires', async () => {
    fakeOnly('Date');
    const getToken = jest.fn(() => Promise.resolve(workspaceToken()));
    const workspace = external(getToken);

    await expect(mintedBy(workspace)).resolves.toBe(USER);
    await workspace.mintCredential();
    expect(getToken).toHaveBeenCalledTimes(1);
    expect(getToken).toHaveBeenCalledWith({
      workspaceHost: emulator.controlPlane.url,
      signal: expect.any(AbortSignal) as AbortSignal,
    });

    jest.setSystemTime(Date.now() + HOUR);
    await workspace.mintCredential();
    expect(getToken).toHaveBeenCalledTimes(2);
  });

  it('is asked again when its token is refused', async () => {
    const workspace = external(() => Promise.resolve(workspaceToken()));
    await workspace.mintCredential();
    emulator.controlPlane.revokeWorkspaceTokens();

    await expect(mintedBy(workspace)).resolves.toBe(USER);
  });

  it('is named when it gives the refused token again', async () => {
    const given = workspaceToken();
    const workspace = external(() => Promise.resolve(given));
    emulator.controlPlane.revokeWorkspaceTokens();

    const error = await catchFailure(workspace.mintCredential(), [given.token]);

    expect(error.code).toBe('access-token-refused');
    expect(error.message).toContain('lakebaseWorkspaceTokenServiceRef');
  });

  it('is tried again when it fails, and says why', async () => {
    const workspace = external(() =>
      Promise.reject(new Error('The vault is sealed')),
    );

    const error = await catchFailure(workspace.mintCredential(), []);

    expect(error.permanent).toBe(false);
    expect(error.message).toContain('lakebaseWorkspaceTokenServiceRef');
    expect(error.message).toContain('The vault is sealed');
  });

  it('may say that trying again is of no use', async () => {
    const refusal = new LakebaseError('client-refused', { problem: 'No' });

    const error = await catchFailure(
      external(() => Promise.reject(refusal)).mintCredential(),
      [],
    );

    expect(error).toBe(refusal);
  });

  it.each<[string, object]>([
    ['that has expired', { expiresAt: new Date(0) }],
    ['without an end', { expiresAt: undefined }],
    ['that is no string', { token: 4711 }],
  ])('may not give a token %s', async (_, change) => {
    const given = { ...workspaceToken(), ...change };
    const workspace = external(() => Promise.resolve(given));

    const error = await catchFailure(workspace.mintCredential(), []);

    expect(error.code).toBe('workspace-reply-invalid');
    expect(error.message).toContain('lakebaseWorkspaceTokenServiceRef');
    expect(made()).toEqual([]);
  });

  it('is given up after 10 s, even when it does not heed its signal', async () => {
    fakeOnly('timeouts');
    let failure: Promise<LakebaseError>;
    await new Promise<void>(asked => {
      const workspace = external(() => {
        asked();
        return new Promise(() => {});
      });
      failure = catchFailure(workspace.mintCredential(), []);
    });

    jest.advanceTimersByTime(10_000);

    expect((await failure!).message).toContain('10 s');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is given up at once at shutdown', async () => {
    let signal: AbortSignal | undefined;
    const workspace = external(options => {
      ({ signal } = options);
      setImmediate(() => workspace.stop());
      return new Promise(() => {});
    });

    const error = await catchFailure(workspace.mintCredential(), []);

    expect(error.code).toBe('stopped');
    expect(signal!.aborted).toBe(true);
  });
});
