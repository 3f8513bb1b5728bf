import { getEventListeners } from 'node:events';
import { decodeJwt } from 'jose';
import type { Emulator } from '../../emulator';
import { startTestEmulator } from '../support/emulator';
import {
  ACCESS_TOKEN,
  json,
  ScriptedServer,
  withoutDate,
} from '../support/scriptedServer';
import {
  CLIENT,
  ENDPOINT,
  fakeOnly,
  secretsOf,
  createWorkspaceAt,
  createWorkspace,
  catchFailure,
} from '../support/workspaces';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let emulator: Emulator;
let earlierCalls: number;

beforeAll(async () => {
  emulator = await startTestEmulator();
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

/** The calls of this test, in order. */
const calls = () => emulator.controlPlane.calls.slice(earlierCalls);
const made = () => calls().map(({ route, status }) => `${route} ${status}`);

describe('the way to a database credential', () => {
  it('is one call for an access token and one for the credential', async () => {
    const { token } = await createWorkspace(emulator).mintCredential();

    expect(decodeJwt(token).sub).toBe(emulator.servicePrincipal.clientId);
    expect(calls()).toMatchObject([
      {
        method: 'POST',
        path: '/oidc/v1/token',
        authorization: 'Basic',
        body: { grant_type: 'client_credentials', scope: 'all-apis' },
      },
      {
        method: 'POST',
        path: '/api/2.0/postgres/credentials',
        authorization: 'Bearer',
        body: { endpoint: emulator.endpoint },
      },
    ]);
  });

  it('sends client id and secret encoded, so that they may hold any character', async () => {
    const server = await ScriptedServer.start(
      json({ status: { hosts: { host: 'ep.example.com' } } }),
    );
    const client = { clientId: 'a b:c', clientSecret: 'ü%2F+/:=&?' };
    try {
      await createWorkspaceAt(server.url, client).findHost();

      const [{ headers }] = server.requests;
      const basic = headers.authorization!.replace(/^Basic /, '');
      const parts = Buffer.from(basic, 'base64').toString().split(':');
      expect(parts.map(decodeURIComponent)).toEqual(Object.values(client));
    } finally {
      await server.stop();
    }
  });

  it('presents the access token to the API, and the secret to nobody but the token URL', async () => {
    const server = await ScriptedServer.start(
      json({ status: { hosts: { host: 'ep.example.com' } } }),
    );
    try {
      await createWorkspaceAt(server.url).findHost();

      const [, lookUp] = server.requests;
      expect(lookUp.headers.authorization).toBe(`Bearer ${ACCESS_TOKEN}`);
      const sent = JSON.stringify(lookUp);
      for (const secret of secretsOf(CLIENT))
        expect(sent).not.toContain(secret);
    } finally {
      await server.stop();
    }
  });

  it('asks for no lifetime when none is configured', async () => {
    await createWorkspace(emulator).mintCredential();

    expect(calls()[1].body).toEqual({ endpoint: emulator.endpoint });
  });

  it('asks for the configured lifetime in seconds', async () => {
    const workspace = createWorkspace(emulator, {
      credentialLifetimeMs: 300_000,
    });

    const { token } = await workspace.mintCredential();

    expect(calls()[1].body).toEqual({
      endpoint: emulator.endpoint,
      ttl: '300s',
    });
    const { iat, exp } = decodeJwt(token);
    expect(exp! - iat!).toBe(300);
  });

  it('makes one attempt only, and leaves trying again to its caller', async () => {
    emulator.controlPlane.answer('credentials', { status: 503 });

    await expect(
      createWorkspace(emulator).mintCredential(),
    ).rejects.toMatchObject({
      code: 'workspace-busy',
    });

    expect(made()).toEqual(['token 200', 'credentials 503']);
  });

  it('leaves nothing behind on the signal of its caller', async () => {
    const { signal } = new AbortController();
    const workspace = createWorkspace(emulator);

    await workspace.mintCredential(signal);
    emulator.controlPlane.answer('credentials', { status: 503 });
    await workspace.mintCredential(signal).catch(() => {});

    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('the look-up of the endpoint', () => {
  it('finds the host that the endpoint listens on', async () => {
    await expect(createWorkspace(emulator).findHost()).resolves.toBe(
      emulator.gateway.host,
    );
    expect(calls()[1]).toMatchObject({
      method: 'GET',
      path: `/api/2.0/postgres/${ENDPOINT}`,
      authorization: 'Bearer',
    });
  });
});

describe('the access token', () => {
  it('serves further calls', async () => {
    const workspace = createWorkspace(emulator);

    await workspace.mintCredential();
    await workspace.findHost();
    await workspace.mintCredential();

    expect(made()).toEqual([
      'token 200',
      'credentials 200',
      'endpoint 200',
      'branch 200',
      'credentials 200',
    ]);
  });

  it('is fetched once for callers that come together', async () => {
    const workspace = createWorkspace(emulator);

    await Promise.all([
      workspace.mintCredential(),
      workspace.findHost(),
      workspace.mintCredential(),
      workspace.findHost(),
    ]);

    expect(emulator.controlPlane.calls.length - earlierCalls).toBe(7);
    expect(made().filter(call => call === 'token 200')).toHaveLength(1);
  });

  it('is fetched anew when an earlier attempt failed', async () => {
    const workspace = createWorkspace(emulator);
    emulator.controlPlane.answer('token', { status: 503 }, { times: 1 });

    await workspace.mintCredential().catch(() => {});
    await workspace.mintCredential();

    expect(made()).toEqual(['token 503', 'token 200', 'credentials 200']);
  });

  it('is renewed within the same call when the API refuses it', async () => {
    const workspace = createWorkspace(emulator);
    await workspace.findHost();
    emulator.controlPlane.revokeWorkspaceTokens();

    await workspace.mintCredential();

    expect(made()).toEqual([
      'token 200',
      'endpoint 200',
      'branch 200',
      'credentials 401',
      'token 200',
      'credentials 200',
    ]);
  });

  it('is renewed once when the API refuses it to many callers', async () => {
    const workspace = createWorkspace(emulator);
    await workspace.findHost();
    emulator.controlPlane.revokeWorkspaceTokens();

    await Promise.all(
      Array.from({ length: 5 }, () => workspace.mintCredential()),
    );

    expect(made().filter(call => call === 'token 200')).toHaveLength(2);
    expect(made().filter(call => call === 'credentials 200')).toHaveLength(5);
  });

  it('is not fetched a third time when its successor is refused too', async () => {
    emulator.controlPlane.answer('credentials', { status: 401 });

    const error = await catchFailure(
      createWorkspace(emulator).mintCredential(),
      secretsOf(emulator.servicePrincipal),
    );

    expect(error.code).toBe('access-token-refused');
    expect(error.permanent).toBe(true);
    expect(made()).toEqual([
      'token 200',
      'credentials 401',
      'token 200',
      'credentials 401',
    ]);
  });

  it('is renewed before a call once it has expired', async () => {
    fakeOnly('Date');
    const workspace = createWorkspace(emulator);
    await workspace.mintCredential();

    jest.setSystemTime(Date.now() + HOUR);
    await workspace.mintCredential();

    expect(made()).toEqual([
      'token 200',
      'credentials 200',
      'token 200',
      'credentials 200',
    ]);
  });

  it('is renewed before a call that could outlive it', async () => {
    fakeOnly('Date');
    const workspace = createWorkspace(emulator);
    await workspace.mintCredential();

    jest.setSystemTime(Date.now() + HOUR - 5_000);
    await workspace.mintCredential();

    expect(made().slice(2)).toEqual(['token 200', 'credentials 200']);
  });

  it('is fetched with the replaced secret when the old one is gone', async () => {
    const successor = await emulator.addServicePrincipal({ role: false });
    let client = emulator.servicePrincipal;
    const workspace = createWorkspace(emulator, {
      readWorkspace: () => ({
        method: 'oauth-m2m',
        host: emulator.controlPlane.url,
        ...client,
        hostKey: 'host key',
        identityKeys: 'keys',
      }),
    });
    await workspace.mintCredential();

    client = successor;
    emulator.controlPlane.revokeWorkspaceTokens();
    const { token } = await workspace.mintCredential();

    expect(decodeJwt(token).sub).toBe(successor.clientId);
  });

  it('is fetched with a corrected secret 15 s after the wrong one was refused', async () => {
    fakeOnly('Date');
    const { clientId, clientSecret } = emulator.servicePrincipal;
    let secret = 'wrong';
    const workspace = createWorkspace(emulator, {
      readWorkspace: () => ({
        method: 'oauth-m2m',
        host: emulator.controlPlane.url,
        clientId,
        clientSecret: secret,
        hostKey: 'host key',
        identityKeys: 'keys',
      }),
    });
    await expect(workspace.mintCredential()).rejects.toMatchObject({
      code: 'client-refused',
    });

    secret = clientSecret;
    jest.setSystemTime(Date.now() + 15_000);
    await workspace.mintCredential();

    expect(made()).toEqual(['token 401', 'token 200', 'credentials 200']);
  });
});

describe('the life of a credential', () => {
  it.each([
    ['agrees with ours', 0],
    ['is two hours ahead', 2 * HOUR],
    ['is two hours behind', -2 * HOUR],
  ])("is read off the workspace's clock, when that %s", async (_, offsetMs) => {
    fakeOnly('Date');
    emulator.controlPlane.clockOffsetMs = offsetMs;

    const { lifeMs } = await createWorkspace(emulator).mintCredential();

    expect(lifeMs).toBe(HOUR);
  });

  describe('without a Date header', () => {
    let server: ScriptedServer;

    beforeEach(async () => {
      fakeOnly('Date');
      server = await ScriptedServer.start();
      server.token = withoutDate(server.token);
    });
    afterEach(() => server.stop());

    const jwt = (payload: unknown) =>
      ['{}', JSON.stringify(payload), 'signature']
        .map(part => Buffer.from(part).toString('base64url'))
        .join('.');
    const iat = 1_700_000_000;

    function answerWith(token: string, expiresInMs: number): void {
      const expire_time = new Date(Date.now() + expiresInMs).toISOString();
      server.api = withoutDate(json({ token, expire_time }));
    }

    it.each([
      [
        'what our clock says, when the token says more',
        jwt({ iat, exp: iat + 3600 }),
        10 * MINUTE,
        10 * MINUTE,
      ],
      [
        'what the token says, when our clock is behind',
        jwt({ iat, exp: iat + 3600 }),
        3 * HOUR,
        HOUR,
      ],
      ['what our clock says, when the token is opaque', 'opaque', HOUR, HOUR],
      [
        'what our clock says, when the token has another number of parts',
        `${jwt({})}.more`,
        HOUR,
        HOUR,
      ],
      [
        'what our clock says, when the token is silent',
        jwt({ sub: 'somebody' }),
        HOUR,
        HOUR,
      ],
      ['what our clock says, when the token holds null', jwt(null), HOUR, HOUR],
      [
        'what our clock says, when the token has no beginning',
        jwt({ exp: iat }),
        HOUR,
        HOUR,
      ],
      [
        'what our clock says, when the token ends before it begins',
        jwt({ iat, exp: iat - 1 }),
        HOUR,
        HOUR,
      ],
      [
        'what our clock says, when the times in the token are words',
        jwt({ iat: 'now', exp: 'later' }),
        HOUR,
        HOUR,
      ],
    ])('is %s', async (_, token, expiresInMs, expectedMs) => {
      answerWith(token, expiresInMs);

      const credential = await createWorkspaceAt(server.url).mintCredential();

      expect(credential).toEqual({ token, lifeMs: expectedMs });
    });

    it('is not usable when our clock is ahead of its end', async () => {
      const token = jwt({ iat, exp: iat + 3600 });
      answerWith(token, -HOUR);

      const error = await catchFailure(
        createWorkspaceAt(server.url).mintCredential(),
        [token],
      );

      expect(error.code).toBe('workspace-reply-invalid');
    });
  });
});
