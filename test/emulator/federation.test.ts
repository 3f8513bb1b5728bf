import type { Emulator } from '../../emulator';
import { IdentityProvider } from '../../emulator/identityProvider';
import { ServerClock } from '../../emulator/serverClock';
import { startTestEmulator } from '../support/emulator';
import { exchangeToken, get } from './clients';

const SUBJECT = 'system:serviceaccount:portal:backstage';

describe('a token of the identity provider', () => {
  let emulator: Emulator;
  let clientId: string;
  let audience: string;

  beforeEach(async () => {
    emulator = await startTestEmulator();
    clientId = emulator.servicePrincipal.clientId;
    audience = `${emulator.controlPlane.url}/oidc/v1/token`;
  });
  afterEach(() => emulator.stop());

  const issue = (
    options: Partial<
      Parameters<Emulator['identityProvider']['issueToken']>[0]
    > = {},
  ) =>
    emulator.identityProvider.issueToken({
      subject: SUBJECT,
      audience,
      ...options,
    });

  /** Who the exchanged token speaks for. */
  const userOf = async (token: string) => {
    const path = '/api/2.0/preview/scim/v2/Me';
    return (await get(emulator, path, token)).body.userName;
  };

  it('buys a workspace token of the service principal with the policy', async () => {
    emulator.controlPlane.addFederationPolicy({ clientId, subject: SUBJECT });

    const { status, body } = await exchangeToken(emulator, {
      subject_token: await issue(),
      client_id: clientId,
    });

    expect(status).toBe(200);
    expect(body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'all-apis',
    });
    expect(await userOf(body.access_token)).toBe(clientId);
  });

  it('needs no client id where the policy is account-wide', async () => {
    const { userName } = await emulator.addUser({ email: 'ada@acme.example' });
    emulator.controlPlane.addFederationPolicy({ subject: userName });
    emulator.controlPlane.addFederationPolicy({
      subject: SUBJECT,
      userName: clientId,
    });

    const asUser = await exchangeToken(emulator, {
      subject_token: await issue({ subject: userName }),
    });
    const asPrincipal = await exchangeToken(emulator, {
      subject_token: await issue(),
    });

    expect(await userOf(asUser.body.access_token)).toBe(userName);
    expect(await userOf(asPrincipal.body.access_token)).toBe(clientId);
  });

  it('is good for the audience that the policy names', async () => {
    emulator.controlPlane.addFederationPolicy({
      clientId,
      subject: SUBJECT,
      audience: 'https://acme.example/databricks',
    });
    const exchange = async (to: string) =>
      exchangeToken(emulator, {
        subject_token: await issue({ audience: to }),
        client_id: clientId,
      });

    expect((await exchange('https://acme.example/databricks')).status).toBe(
      200,
    );
    expect((await exchange(audience)).body.error).toBe('invalid_grant');
  });

  it.each([
    ['of another issuer', { issuer: 'https://stranger.test' }, /the issuer/],
    ['for another audience', { audience: 'https://no.test' }, /audience/],
    ['of another subject', { subject: 'somebody:else' }, /the subject/],
    ['that has expired', { lifeMs: -1_000 }, /has expired/],
  ])('%s is refused', async (_, change, description) => {
    emulator.controlPlane.addFederationPolicy({ clientId, subject: SUBJECT });

    const { status, body } = await exchangeToken(emulator, {
      subject_token: await issue(change),
      client_id: clientId,
    });

    expect(status).toBe(400);
    expect(body).toEqual({
      error: 'invalid_grant',
      error_description: expect.stringMatching(description) as string,
    });
  });

  it('expires by the clock of the platform', async () => {
    const { controlPlane } = emulator;
    controlPlane.addFederationPolicy({ clientId, subject: SUBJECT });
    const token = await issue({ lifeMs: 60_000 });
    const exchange = () =>
      exchangeToken(emulator, { subject_token: token, client_id: clientId });

    controlPlane.clockOffsetMs = 55_000;
    const before = await exchange();
    controlPlane.clockOffsetMs = 61_000;
    const after = await exchange();

    expect(before.status).toBe(200);
    expect(after.body.error).toBe('invalid_grant');
  });

  it('with the signature of another provider is refused', async () => {
    emulator.controlPlane.addFederationPolicy({ clientId, subject: SUBJECT });
    const other = await IdentityProvider.create(new ServerClock(), () => '');
    const token = await other.issueToken({
      subject: SUBJECT,
      audience,
    });

    const { status, body } = await exchangeToken(emulator, {
      subject_token: token,
      client_id: clientId,
    });

    expect(status).toBe(400);
    expect(body.error).toBe('invalid_grant');
  });

  it.each(['subject_token', 'subject_token_type', 'scope'])(
    'cannot be traded without %s',
    async missing => {
      emulator.controlPlane.addFederationPolicy({ clientId, subject: SUBJECT });

      const { status, body } = await exchangeToken(emulator, {
        subject_token: await issue(),
        client_id: clientId,
        [missing]: undefined,
      });

      expect(status).toBe(400);
      expect(body).toEqual({
        error: 'invalid_request',
        error_description: `The ${missing} is missing`,
      });
    },
  );

  it('cannot be traded as another type of token', async () => {
    emulator.controlPlane.addFederationPolicy({ clientId, subject: SUBJECT });

    const { status, body } = await exchangeToken(emulator, {
      subject_token: await issue(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      client_id: clientId,
    });

    expect(status).toBe(400);
    expect(body.error).toBe('invalid_request');
  });

  it('is refused with a client id that its policy does not have', async () => {
    const other = await emulator.addServicePrincipal();
    const { userName } = await emulator.addUser({ email: 'ada@acme.example' });
    emulator.controlPlane.addFederationPolicy({ clientId, subject: SUBJECT });
    emulator.controlPlane.addFederationPolicy({ subject: userName });
    const ownPolicy = await issue();
    const accountWide = await issue({ subject: userName });

    const refused = [
      { subject_token: ownPolicy, client_id: other.clientId },
      { subject_token: ownPolicy },
      { subject_token: accountWide, client_id: clientId },
    ];
    for (const fields of refused) {
      const { status, body } = await exchangeToken(emulator, fields);
      expect(status).toBe(401);
      expect(body.error).toBe('invalid_client');
    }
  });

  it('never shows in the call log', async () => {
    const { controlPlane } = emulator;
    controlPlane.addFederationPolicy({ clientId, subject: SUBJECT });
    const token = await issue();

    await exchangeToken(emulator, {
      subject_token: token,
      client_id: clientId,
    });

    expect(controlPlane.calls.at(-1)).toMatchObject({
      route: 'token',
      authorization: undefined,
      body: { client_id: clientId },
    });
    expect(JSON.stringify(controlPlane.calls)).not.toContain(token);
  });
});
