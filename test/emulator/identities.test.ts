import { REFUSALS, type Emulator } from '../../emulator';
import { startTestEmulator } from '../support/emulator';
import {
  closeClients,
  currentUser,
  get,
  logIn,
  requestCredential,
} from './clients';

const EMAIL = 'ada@acme.example';

describe('an identity of the emulated workspace', () => {
  let emulator: Emulator;

  beforeEach(async () => {
    emulator = await startTestEmulator();
  });
  afterEach(async () => {
    await closeClients(emulator);
    await emulator.stop();
  });

  const me = (token: string) =>
    get(emulator, '/api/2.0/preview/scim/v2/Me', token);

  const mintWith = async (token: string) =>
    (await requestCredential(emulator, token)).body.token;

  it('that is a user logs in as the role named by the e-mail address', async () => {
    const { userName } = await emulator.addUser({ email: EMAIL });
    const token = emulator.controlPlane.issueWorkspaceToken(userName);

    const password = await mintWith(token);
    const client = await logIn(emulator, { user: userName, password });

    expect(userName).toBe(EMAIL);
    expect(await currentUser(client)).toBe(EMAIL);
  });

  it('that is a user may be left without a role, or given attributes', async () => {
    const bob = await emulator.addUser({
      email: 'bob@acme.example',
      role: false,
    });
    await emulator.addUser({
      email: EMAIL,
      role: { attributes: 'CREATEDB' },
    });
    const token = emulator.controlPlane.issueWorkspaceToken(bob.userName);
    const password = await mintWith(token);

    await expect(
      logIn(emulator, { user: bob.userName, password }),
    ).rejects.toThrow('role "bob@acme.example" does not exist');
    expect(
      await emulator.query(
        "SELECT rolname, rolcreatedb FROM pg_roles WHERE rolname LIKE '%@%'",
      ),
    ).toEqual([{ rolname: EMAIL, rolcreatedb: true }]);
  });

  it('is told its user name, whatever kind it is', async () => {
    const { controlPlane, servicePrincipal } = emulator;
    await emulator.addUser({ email: EMAIL });

    for (const name of [EMAIL, servicePrincipal.clientId]) {
      const token = controlPlane.issueWorkspaceToken(name);
      expect((await me(token)).body.userName).toBe(name);
    }
  });

  it('has a workspace token for as long as it was issued for', async () => {
    const { controlPlane, servicePrincipal } = emulator;
    const { clientId } = servicePrincipal;
    const token = controlPlane.issueWorkspaceToken(clientId, {
      lifeMs: 60_000,
    });

    controlPlane.clockOffsetMs = 55_000;
    const before = await me(token);
    controlPlane.clockOffsetMs = 60_000;
    const after = await me(token);

    expect([before.status, after.status]).toEqual([200, 401]);
  });

  it('mints with a personal access token, which is no Postgres password', async () => {
    const { controlPlane, gateway } = emulator;
    await emulator.addUser({ email: EMAIL });
    const token = controlPlane.createPersonalAccessToken(EMAIL);

    const password = await mintWith(token);
    const client = await logIn(emulator, { user: EMAIL, password });

    expect(token).toMatch(/^dapi/);
    expect(await currentUser(client)).toBe(EMAIL);
    await expect(
      logIn(emulator, { user: EMAIL, password: token }),
    ).rejects.toThrow(
      'Provided authentication token is not a valid JWT encoding',
    );
    expect(gateway.refusals.map(({ kind }) => kind)).toEqual(['notAToken']);
  });

  it('may hear of its personal access token what Provisioned says', async () => {
    const { controlPlane, gateway } = emulator;
    await emulator.addUser({ email: EMAIL });
    const password = controlPlane.createPersonalAccessToken(EMAIL);
    gateway.variant.notAToken = REFUSALS.notAToken.findIndex(({ message }) =>
      message('', '').includes('native postgres login'),
    );

    const refused = logIn(emulator, { user: EMAIL, password });

    await expect(refused).rejects.toMatchObject({
      code: '28P01',
      message: `Failed to decode token for role "${EMAIL}" and native postgres login was not enabled`,
    });
  });

  it('must be known before it is given a token', () => {
    const { controlPlane } = emulator;

    expect(() => controlPlane.issueWorkspaceToken('eve@acme.example')).toThrow(
      "The workspace has no identity 'eve@acme.example'",
    );
    expect(() =>
      controlPlane.createPersonalAccessToken('eve@acme.example'),
    ).toThrow("The workspace has no identity 'eve@acme.example'");
  });
});
