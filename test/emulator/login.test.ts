import { once } from 'node:events';
import { decodeJwt, generateKeyPair, SignJWT } from 'jose';
import type { ClientConfig } from 'pg';
import { REFUSALS, type Emulator } from '../../emulator';
import { startTestEmulator } from '../support/emulator';
import {
  closeClients,
  currentUser,
  logIn,
  mint,
  workspaceToken,
} from './clients';

describe('a login at the emulated gateway', () => {
  let emulator: Emulator;

  beforeEach(async () => {
    emulator = await startTestEmulator();
  });
  afterEach(async () => {
    await closeClients(emulator);
    expect(emulator.gateway.openConnections).toBe(0);
    await emulator.stop();
  });

  const refusal = (overrides: ClientConfig): Promise<Error> =>
    logIn(emulator, overrides).then(
      () => new Error('logged in'),
      (error: Error) => error,
    );

  it('with a minted credential is one as that very role', async () => {
    const { gateway, servicePrincipal } = emulator;
    const password = await mint(emulator);
    const client = await logIn(emulator, {
      password,
      application_name: 'backstage',
    });

    expect(await currentUser(client)).toBe(servicePrincipal.clientId);
    expect(gateway.logins).toEqual([
      {
        user: servicePrincipal.clientId,
        database: 'databricks_postgres',
        applicationName: 'backstage',
        tokenId: decodeJwt(password).jti,
        at: expect.any(Number) as number,
      },
    ]);
    expect(gateway.openConnections).toBe(1);
  });

  it('gives the service principal what the platform engineer granted it', async () => {
    const client = await logIn(emulator);
    await client.query('CREATE SCHEMA catalog');
    await client.query('CREATE DATABASE backstage_plugin_catalog');
    const rows = await emulator.query(
      `SELECT datdba::regrole::text AS owner FROM pg_database
       WHERE datname = 'backstage_plugin_catalog'`,
    );
    expect(rows[0].owner).toContain(emulator.servicePrincipal.clientId);
    await expect(client.query('CREATE ROLE other')).rejects.toMatchObject({
      code: '42501',
    });
  });

  it.each(['localhost', '127.0.0.1'])('is possible at %s', async host => {
    const ssl = { ca: emulator.ca.cert, servername: 'localhost' };
    expect(await currentUser(await logIn(emulator, { host, ssl }))).toBe(
      emulator.servicePrincipal.clientId,
    );
  });

  it('needs a server name unless told otherwise', async () => {
    const { gateway } = emulator;
    const host = '127.0.0.1';
    expect(await refusal({ host })).toMatchObject({
      code: '08006',
      message: 'Connection does not have SNI.',
    });
    gateway.requireSni = false;
    await logIn(emulator, { host });
    expect(gateway.refusals.map(({ kind }) => kind)).toEqual(['noSni']);
  });

  it('without TLS is refused', async () => {
    expect(await refusal({ ssl: false })).toMatchObject({
      code: '08P01',
      message: 'Invalid protocol version. Protocol version: 196608',
    });
  });

  it('with anything but a database credential is refused', async () => {
    const { clientId } = emulator.servicePrincipal;
    const { privateKey } = await generateKeyPair('ES256');
    const stranger = new SignJWT().setProtectedHeader({ alg: 'ES256' });
    const passwords = [
      'a password',
      await workspaceToken(emulator),
      emulator.controlPlane.createPersonalAccessToken(clientId),
      await stranger.setSubject(clientId).sign(privateKey),
    ];
    for (const password of passwords) await refusal({ password });
    expect(emulator.gateway.refusals.map(({ kind }) => kind)).toEqual([
      'notAToken',
      'notAToken',
      'notAToken',
      'keyUnknown',
    ]);
  });

  it('with an expired credential is refused, while open connections live on', async () => {
    const { controlPlane } = emulator;
    controlPlane.credentialLifeMs = 20_000;
    const password = await mint(emulator);
    const client = await logIn(emulator, { password });

    controlPlane.clockOffsetMs = 19_000;
    await logIn(emulator, { password });
    controlPlane.clockOffsetMs = 20_000;
    expect(await refusal({ password })).toMatchObject({
      code: 'XX000',
      message: expect.stringMatching(
        /^JWT token has expired \(exp=\d+\)$/,
      ) as string,
    });
    expect(await currentUser(client)).toBeTruthy();
  });

  it('with a credential of the future is refused', async () => {
    const password = await mint(emulator);
    emulator.controlPlane.clockOffsetMs = -60_000;
    expect((await refusal({ password })).message).toMatch(/not yet ready/);
  });

  it('with a revoked credential is refused, with a newer one is not', async () => {
    const { gateway } = emulator;
    const password = await mint(emulator);
    gateway.revokeTokens();
    await refusal({ password });
    expect(gateway.refusals).toMatchObject([{ kind: 'revoked' }]);
    await logIn(emulator);
  });

  it('of an identity without a role is refused', async () => {
    const principal = await emulator.addServicePrincipal({ role: false });
    const login = {
      user: principal.clientId,
      password: await mint(emulator, principal),
    };
    expect(await refusal(login)).toMatchObject({
      code: '28000',
      message: `role "${principal.clientId}" does not exist`,
    });
    await emulator.createRole(principal.clientId);
    await logIn(emulator, login);
  });

  it("as somebody else than the credential's identity is refused", async () => {
    const other = await emulator.addServicePrincipal();
    expect(await refusal({ user: other.clientId })).toMatchObject({
      code: '28P01',
      message: `password authentication failed for user '${other.clientId}'`,
    });
  });

  it('as a role without an identity behind it is refused', async () => {
    const principal = await emulator.addServicePrincipal({ role: false });
    await emulator.createRole(principal.clientId, { identity: false });
    await refusal({
      user: principal.clientId,
      password: await mint(emulator, principal),
    });
    expect(emulator.gateway.refusals[0].kind).toBe('wrongIdentity');
  });

  it.each(['postgres', 'no_such_database'])(
    'to database %s is refused',
    async database => {
      expect(await refusal({ database })).toMatchObject({
        code: '3D000',
        message: `database "${database}" does not exist`,
      });
    },
  );

  it("passes Postgres' own refusals on", async () => {
    await emulator.query(
      'REVOKE CONNECT ON DATABASE databricks_postgres FROM PUBLIC',
    );
    const principal = await emulator.addServicePrincipal();
    await emulator.query(
      `REVOKE CONNECT ON DATABASE databricks_postgres FROM "${principal.clientId}"`,
    );
    expect(
      await refusal({
        user: principal.clientId,
        password: await mint(emulator, principal),
      }),
    ).toMatchObject({
      code: '42501',
      severity: 'FATAL',
      detail: 'User does not have CONNECT privilege.',
    });
    expect(emulator.gateway.refusals).toMatchObject([
      { kind: 'upstream', code: '42501' },
    ]);
  });

  it('above the connection limit is refused until one closes', async () => {
    const { gateway } = emulator;
    gateway.connectionLimit = 1;
    const client = await logIn(emulator);
    expect(await refusal({})).toMatchObject({ code: '53300' });
    const closed = once(gateway, 'close');
    await client.end();
    await closed;
    await logIn(emulator);
  });

  it('can be made to take long', async () => {
    emulator.gateway.loginLatencyMs = 100;
    const before = Date.now();
    await logIn(emulator);
    expect(Date.now() - before).toBeGreaterThanOrEqual(95);
  });

  it('can be refused for a scripted reason, in any of its variants', async () => {
    const { gateway } = emulator;
    const user = emulator.servicePrincipal.clientId;
    for (const [variant, { code, message }] of REFUSALS.expired.entries()) {
      gateway.refuseNext('expired', { variant });
      const error = await refusal({});
      expect(error).toMatchObject({ code });
      expect(error.message.split('=')[0]).toBe(message(user, '').split('=')[0]);
    }
    gateway.variant = { externalAuthorization: 0 };
    gateway.refuseNext('externalAuthorization', { times: 2 });
    expect(await refusal({})).toMatchObject({
      code: '28000',
      detail: expect.stringContaining('paused') as string,
    });
    await refusal({});
    await logIn(emulator);
  });

  it.each([
    ['untrusted', /SELF_SIGNED_CERT_IN_CHAIN/],
    ['wrongName', /ERR_TLS_CERT_ALTNAME_INVALID/],
    ['expired', /CERT_HAS_EXPIRED/],
    ['off', /The server does not support SSL connections/],
  ] as const)('meets TLS that is %s', async (tls, expected) => {
    emulator.gateway.tls = tls;
    const error = (await refusal({})) as NodeJS.ErrnoException;
    expect(`${error.code} ${error.message}`).toMatch(expected);
    emulator.gateway.tls = 'valid';
    await logIn(emulator);
  });
});
