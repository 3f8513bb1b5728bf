import type { Emulator, TlsMode } from '../../emulator';
import { serverCertificate } from '../../emulator/certificates';
import { startTestEmulator } from '../support/emulator';
import { mintInChild, type Outcome } from '../support/mintInChild';
import { startWiretap, type Wiretap } from '../support/wiretap';
import {
  CLIENT,
  catchFailure,
  HOST_KEY,
  secretsOf,
  createWorkspaceAt,
  createWorkspace,
} from '../support/workspaces';

let emulator: Emulator;
const wiretaps: Wiretap[] = [];

beforeAll(async () => {
  emulator = await startTestEmulator({ https: true });
});
afterEach(async () => {
  await Promise.all(wiretaps.splice(0).map(wiretap => wiretap.stop()));
});
afterAll(() => emulator.stop());

async function tap(mode: TlsMode) {
  const wiretap = await startWiretap(
    mode === 'off' ? undefined : await serverCertificate(mode),
  );
  wiretaps.push(wiretap);
  return wiretap;
}

/** Nothing but a handshake, if that: no request line, header or body. */
async function expectNothingSaid(wiretap: Wiretap, mode: TlsMode) {
  expect(wiretap.connections()).toBe(1);
  const heard = await wiretap.heard();
  if (mode === 'off') {
    // The client's side of a TLS handshake, which names the protocol to come.
    expect(heard.charCodeAt(0)).toBe(0x16);
    expect(heard).not.toMatch(/POST|oidc|authorization|grant_type/i);
    for (const secret of secretsOf(CLIENT)) expect(heard).not.toContain(secret);
  } else {
    expect(heard).toBe('');
  }
}

function expectUntrusted(outcome: Outcome, reason: string) {
  expect(outcome).toMatchObject({
    code: 'workspace-untrusted',
    permanent: true,
  });
  expect(outcome.message).toContain(reason);
  expect(outcome.message).toContain('NODE_EXTRA_CA_CERTS');
  expect(outcome.message).toContain(HOST_KEY);
}

describe('a workspace whose certificate is by an unknown authority', () => {
  it('gets no request at all', async () => {
    const error = await catchFailure(
      createWorkspace(emulator).mintCredential(),
      secretsOf(emulator.servicePrincipal),
    );

    expectUntrusted(error, 'CERT');
    expect(emulator.controlPlane.calls).toEqual([]);
  });

  it.each([
    ['leaves its authority out', 'valid'],
    ['shows its authority too', 'untrusted'],
  ] as const)(
    'is told nothing over the connection, when it %s',
    async (_, mode) => {
      const wiretap = await tap(mode);

      const error = await catchFailure(
        createWorkspaceAt(wiretap.url).mintCredential(),
        secretsOf(CLIENT),
      );

      expectUntrusted(error, 'CERT');
      await expectNothingSaid(wiretap, mode);
    },
  );

  it('is not trusted by way of the environment', async () => {
    const before = { ...process.env };

    await catchFailure(
      createWorkspace(emulator).mintCredential(),
      secretsOf(emulator.servicePrincipal),
    );

    expect(process.env).toEqual(before);
    expect(process.env.NODE_TLS_REJECT_UNAUTHORIZED).toBeUndefined();
  });
});

describe('a server that speaks plain HTTP behind an https URL', () => {
  it('is told nothing', async () => {
    const wiretap = await tap('off');

    const error = await catchFailure(
      createWorkspaceAt(wiretap.url).mintCredential(),
      secretsOf(CLIENT),
    );

    expectUntrusted(error, 'SSL');
    await expectNothingSaid(wiretap, 'off');
  });
});

describe('with the authority in NODE_EXTRA_CA_CERTS', () => {
  it('the workspace is trusted, and the process ends by itself', async () => {
    const { outcome, rejectUnauthorized, exitCode } = await mintInChild(
      { host: emulator.controlPlane.url, client: emulator.servicePrincipal },
      { NODE_EXTRA_CA_CERTS: emulator.ca.certFile },
    );

    expect(outcome).toEqual({ lifeMs: expect.any(Number) as number });
    const calls = emulator.controlPlane.calls;
    expect(calls.map(({ route, status }) => [route, status])).toEqual([
      ['token', 200],
      ['credentials', 200],
    ]);
    expect(rejectUnauthorized).toBeUndefined();
    expect(exitCode).toBe(0);
  });

  it.each([
    ['is expired', 'expired', 'CERT_HAS_EXPIRED'],
    ['is for another name', 'wrongName', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['is by another authority', 'untrusted', 'SELF_SIGNED_CERT_IN_CHAIN'],
    ['is missing', 'off', 'SSL'],
  ] as const)(
    'a certificate that %s is still refused',
    async (_, mode, reason) => {
      const wiretap = await tap(mode);

      const { outcome, rejectUnauthorized, exitCode } = await mintInChild(
        { host: wiretap.url, client: CLIENT },
        { NODE_EXTRA_CA_CERTS: emulator.ca.certFile },
      );

      expectUntrusted(outcome, reason);
      await expectNothingSaid(wiretap, mode);
      for (const secret of secretsOf(CLIENT))
        expect(outcome.told).not.toContain(secret);
      expect(rejectUnauthorized).toBeUndefined();
      expect(exitCode).toBe(0);
    },
  );
});
