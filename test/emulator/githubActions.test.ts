import { decodeJwt } from 'jose';
import { GITHUB_SUBJECT, type Emulator } from '../../emulator';
import { startTestEmulator } from '../support/emulator';
import { exchangeToken, fetchJson } from './clients';

describe('a workflow of GitHub Actions', () => {
  let emulator: Emulator;

  beforeAll(async () => {
    emulator = await startTestEmulator();
  });
  afterAll(() => emulator.stop());

  const requestIdToken = (audience: string, token: string) => {
    const url = new URL(emulator.identityProvider.githubRequestUrl);
    url.searchParams.set('audience', audience);
    return fetchJson(url.href, {
      headers: { authorization: `Bearer ${token}` },
    });
  };

  it('is given an id token for the audience that it asks for', async () => {
    const { githubRequestToken, issuer } = emulator.identityProvider;

    const { status, body } = await requestIdToken('acme', githubRequestToken);

    expect(status).toBe(200);
    expect(decodeJwt(body.value)).toMatchObject({
      iss: issuer,
      sub: 'repo:acme/portal:ref:refs/heads/main',
      aud: 'acme',
    });
  });

  it('is given none with a wrong request token', async () => {
    const { status, body } = await requestIdToken('acme', 'made-up');

    expect(status).toBe(401);
    expect(body.value).toBeUndefined();
  });

  it('trades its id token for a workspace token', async () => {
    const { controlPlane, identityProvider, servicePrincipal } = emulator;
    const { clientId } = servicePrincipal;
    controlPlane.addFederationPolicy({ clientId, subject: GITHUB_SUBJECT });
    const idToken = await requestIdToken(
      `${controlPlane.url}/oidc/v1/token`,
      identityProvider.githubRequestToken,
    );

    const { status } = await exchangeToken(emulator, {
      subject_token: idToken.body.value,
      client_id: clientId,
    });

    expect(status).toBe(200);
  });

  it('is counted apart, and can be answered with faults', async () => {
    const { controlPlane, identityProvider } = emulator;
    const { githubRequestToken } = identityProvider;
    const calls = controlPlane.count('githubIdToken');
    controlPlane.answer('githubIdToken', { status: 503 }, { times: 1 });

    const statuses = [
      (await requestIdToken('acme', githubRequestToken)).status,
      (await requestIdToken('acme', githubRequestToken)).status,
    ];

    expect(statuses).toEqual([503, 200]);
    expect(controlPlane.count('githubIdToken')).toBe(calls + 2);
    expect(controlPlane.calls.at(-1)).toMatchObject({
      route: 'githubIdToken',
      authorization: 'Bearer',
      query: { 'api-version': '2.0', audience: 'acme' },
    });
    expect(JSON.stringify(controlPlane.calls)).not.toContain(
      githubRequestToken,
    );
  });
});
