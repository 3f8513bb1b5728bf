import { decodeJwt } from 'jose';
import { request } from 'node:https';
import type { Emulator } from '../../emulator';
import { startTestEmulator } from '../support/emulator';
import {
  fetchJson,
  requestCredential,
  requestToken,
  workspaceToken,
} from './clients';

describe('the emulated control plane', () => {
  let emulator: Emulator;

  beforeAll(async () => {
    emulator = await startTestEmulator();
  });
  afterEach(() => {
    const { controlPlane } = emulator;
    controlPlane.recover();
    controlPlane.clockOffsetMs = 0;
    controlPlane.credentialLifeMs = 3_600_000;
    controlPlane.workspaceTokenLifeMs = 3_600_000;
  });
  afterAll(() => emulator.stop());

  const get = async (path: string, token?: string) =>
    fetchJson(emulator.controlPlane.url + path, {
      headers: {
        authorization: `Bearer ${token ?? (await workspaceToken(emulator))}`,
      },
    });

  it('tells where its OAuth token endpoint is', async () => {
    const { url } = emulator.controlPlane;
    const { body } = await fetchJson(
      `${url}/oidc/.well-known/oauth-authorization-server`,
    );
    expect(body.token_endpoint).toBe(`${url}/oidc/v1/token`);
  });

  it('gives a service principal a workspace token', async () => {
    const { status, body } = await requestToken(
      emulator,
      emulator.servicePrincipal,
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 3600 });
  });

  it('refuses a wrong client secret in the words of RFC 6749', async () => {
    const { clientId } = emulator.servicePrincipal;
    const { status, body } = await requestToken(emulator, {
      clientId,
      clientSecret: 'wrong',
    });
    expect(status).toBe(401);
    expect(body.error).toBe('invalid_client');
  });

  it('mints a credential for an hour, in the name of its caller', async () => {
    const { status, body } = await requestCredential(
      emulator,
      await workspaceToken(emulator),
    );
    expect(status).toBe(200);
    const { sub, iat, exp } = decodeJwt(body.token);
    expect(sub).toBe(emulator.servicePrincipal.clientId);
    expect(exp! - iat!).toBe(3600);
    expect(Math.abs(Date.parse(body.expire_time) - exp! * 1000)).toBeLessThan(
      1000,
    );
  });

  it('mints for as long as asked, up to the cap', async () => {
    const { endpoint, controlPlane } = emulator;
    const token = await workspaceToken(emulator);
    const lifeOf = async (ttl: string) => {
      const { body } = await requestCredential(emulator, token, {
        endpoint,
        ttl,
      });
      const { iat, exp } = decodeJwt(body.token);
      return exp! - iat!;
    };
    expect(await lifeOf('300s')).toBe(300);
    controlPlane.credentialLifeMs = 20_000;
    expect(await lifeOf('300s')).toBe(20);
  });

  it.each([
    ['a ttl above an hour', { ttl: '3601s' }, /exceeds the maximum/],
    ['a ttl below five minutes', { ttl: '299s' }, /below the minimum/],
    ['a ttl without its unit', { ttl: '600' }, /Invalid duration/],
    ['no endpoint', { endpoint: undefined }, /'endpoint' is required/],
    ['a uid for an endpoint', { endpoint: 'ep-1' }, /Invalid endpoint name/],
  ])('refuses %s', async (_, change, message) => {
    const { status, body } = await requestCredential(
      emulator,
      await workspaceToken(emulator),
      { endpoint: emulator.endpoint, ...change },
    );
    expect(status).toBe(400);
    expect(body.error_code).toBe('INVALID_PARAMETER_VALUE');
    expect(body.message).toMatch(message);
    expect(body.message).toMatch(/\[TraceId: [0-9a-f]{32}\]$/);
    expect(body.details[0].request_id).toBeTruthy();
  });

  it.each([
    ['project', 'projects/no/branches/production/endpoints/primary'],
    ['branch', 'projects/backstage/branches/no/endpoints/primary'],
    ['endpoint', 'projects/backstage/branches/production/endpoints/no'],
  ])('does not find an unknown %s', async (kind, endpoint) => {
    const { status, body } = await requestCredential(
      emulator,
      await workspaceToken(emulator),
      { endpoint },
    );
    expect(status).toBe(404);
    expect(body.error_code).toBe('NOT_FOUND');
    expect(body.message).toContain(`${kind} id not found`);
  });

  it('leads from the project to the host of its endpoint', async () => {
    const api = '/api/2.0/postgres/';
    const project = await get(`${api}projects/backstage`);
    const branchName = project.body.status.default_branch;
    const branch = await get(api + branchName);
    const list = await get(`${api}${branchName}/endpoints`);
    const [{ name }] = list.body.endpoints;
    const endpoint = await get(api + name);

    expect(branch.body).toMatchObject({
      name: branchName,
      status: { default: true },
    });
    expect(name).toBe(emulator.endpoint);
    expect(endpoint.body.status.hosts.host).toBe(emulator.gateway.host);
    expect(endpoint.body.status.current_state).toBe('ACTIVE');
    expect((await get(`${api}projects/backstage/branches/no`)).status).toBe(
      404,
    );
  });

  it('tells a caller who it is', async () => {
    const { body } = await get('/api/2.0/preview/scim/v2/Me');
    expect(body.userName).toBe(emulator.servicePrincipal.clientId);
  });

  it('takes a personal access token like an OAuth one', async () => {
    const { clientId } = emulator.servicePrincipal;
    const token = emulator.controlPlane.createPersonalAccessToken(clientId);
    expect((await requestCredential(emulator, token)).status).toBe(200);
  });

  it('refuses workspace tokens that are expired, revoked or made up', async () => {
    const { controlPlane } = emulator;
    const status = async (token: string) =>
      (await requestCredential(emulator, token)).status;

    expect(await status('made-up')).toBe(401);
    const revoked = await workspaceToken(emulator);
    controlPlane.revokeWorkspaceTokens();
    expect(await status(revoked)).toBe(401);

    const expiring = await workspaceToken(emulator);
    expect(await status(expiring)).toBe(200);
    controlPlane.clockOffsetMs = 3_600_001;
    expect(await status(expiring)).toBe(401);
  });

  it('shifts Date, iat, exp and expire_time together', async () => {
    emulator.controlPlane.clockOffsetMs = 86_400_000;
    const tomorrow = Date.now() + 86_400_000;
    const { headers, body } = await requestCredential(
      emulator,
      await workspaceToken(emulator),
    );
    const { iat, exp } = decodeJwt(body.token);
    const near = (ms: number) => expect(Math.abs(ms)).toBeLessThan(5_000);
    near(Date.parse(headers.get('date')!) - tomorrow);
    near(iat! * 1000 - tomorrow);
    near(exp! * 1000 - tomorrow - 3_600_000);
    near(Date.parse(body.expire_time) - tomorrow - 3_600_000);
  });

  it('answers with the error body of a scripted status, as often as told', async () => {
    const { controlPlane } = emulator;
    const token = await workspaceToken(emulator);
    controlPlane.answer('credentials', { status: 503 }, { times: 1 });
    controlPlane.answer(
      'credentials',
      { status: 429, headers: { 'retry-after': '2' } },
      { times: 1 },
    );

    const replies = [
      await requestCredential(emulator, token),
      await requestCredential(emulator, token),
      await requestCredential(emulator, token),
    ];
    expect(replies.map(({ status }) => status)).toEqual([503, 429, 200]);
    expect(replies[0].body.error_code).toBe('TEMPORARILY_UNAVAILABLE');
    expect(replies[1].headers.get('retry-after')).toBe('2');
  });

  it('answers so until recovery when not told how often', async () => {
    const { controlPlane } = emulator;
    controlPlane.answer('token', { status: 401 });
    const ask = () => requestToken(emulator, emulator.servicePrincipal);
    expect((await ask()).body.error).toBe('invalid_client');
    expect((await ask()).status).toBe(401);
    controlPlane.recover('token');
    expect((await ask()).status).toBe(200);
  });

  it('answers with other bodies, and with changed ones', async () => {
    const { controlPlane } = emulator;
    const token = await workspaceToken(emulator);
    controlPlane.answer('credentials', { body: '"<html>"' }, { times: 1 });
    controlPlane.answer(
      'credentials',
      { change: (body: { token: string }) => ({ jwt: body.token }) },
      { times: 1 },
    );
    expect((await requestCredential(emulator, token)).body).toBe('<html>');
    const { body } = await requestCredential(emulator, token);
    expect(Object.keys(body)).toEqual(['jwt']);
  });

  it('answers late, never, or with a reset', async () => {
    const { controlPlane } = emulator;
    const token = await workspaceToken(emulator);
    controlPlane.answer('credentials', { latencyMs: 100 }, { times: 1 });
    controlPlane.answer('credentials', { hang: true }, { times: 1 });
    controlPlane.answer('credentials', { reset: true }, { times: 1 });

    const before = Date.now();
    await requestCredential(emulator, token);
    expect(Date.now() - before).toBeGreaterThanOrEqual(95);

    const received = controlPlane.once('credentials', 'received');
    const impatient = new AbortController();
    const hanging = fetch(`${controlPlane.url}/api/2.0/postgres/credentials`, {
      method: 'POST',
      signal: impatient.signal,
    });
    expect((await received).status).toBeUndefined();
    impatient.abort();
    await expect(hanging).rejects.toThrow('aborted');

    await expect(requestCredential(emulator, token)).rejects.toMatchObject({
      cause: { code: 'ECONNRESET' },
    });
  });

  it('logs each call with its outcome and without its secrets', async () => {
    const { controlPlane, servicePrincipal, endpoint } = emulator;
    const calls = controlPlane.calls.length;
    const minted = controlPlane.count('credentials', { status: 200 });
    const answered = controlPlane.once('credentials');
    const token = await workspaceToken(emulator);
    const { body } = await requestCredential(emulator, token);

    expect(await answered).toMatchObject({
      method: 'POST',
      status: 200,
      authorization: 'Bearer',
      body: { endpoint },
    });
    expect(controlPlane.calls).toHaveLength(calls + 2);
    expect(controlPlane.count('credentials', { status: 200 })).toBe(minted + 1);
    const log = JSON.stringify(controlPlane.calls);
    for (const secret of [servicePrincipal.clientSecret, token, body.token])
      expect(log).not.toContain(secret);
  });
});

describe('the emulated control plane over https', () => {
  it('shows a certificate by the CA of the emulator', async () => {
    const emulator = await startTestEmulator({ https: true });
    try {
      const status = await new Promise((resolve, reject) => {
        request(
          `${emulator.controlPlane.url}/oidc/.well-known/oauth-authorization-server`,
          { ca: emulator.ca.cert },
          response => resolve(response.resume().statusCode),
        )
          .on('error', reject)
          .end();
      });
      expect(status).toBe(200);
    } finally {
      await emulator.stop();
    }
  });
});
