// What @peculiar/x509 asks for, ahead of it.
import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/**
 * What the gateway shows its clients: `renewed` is valid as well, the next one
 * by the same authority; `off` answers that there is no TLS.
 */
export type TlsMode =
  'valid' | 'renewed' | 'untrusted' | 'wrongName' | 'expired' | 'off';

/** As PEM. */
export interface Certificate {
  key: string;
  cert: string;
}

const NAMES = ['localhost', '127.0.0.1', '::1', '*.database.emulator.test'];
const DAY_MS = 24 * 3_600_000;
const VALID_DAYS = 30;

/** Milliseconds to make, where an RSA key pair takes up to a second. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

interface Authority {
  keys: webcrypto.CryptoKeyPair;
  certificate: X509Certificate;
}

// All emulators of a process show the same ones, each made when first needed.
const authorities = new Map<string, Promise<Authority>>();
const certificates = new Map<TlsMode, Promise<Certificate>>();

function once<K, V>(made: Map<K, V>, name: K, make: () => V): V {
  const value = made.get(name) ?? make();
  made.set(name, value);
  return value;
}

const newKeys = () =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

const authority = (name: string) =>
  once(authorities, name, async (): Promise<Authority> => {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      ...validity(VALID_DAYS),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      ],
    });
    return { keys, certificate };
  });

const ourAuthority = () => authority('Lakebase emulator');

export const serverCertificate = (mode: TlsMode): Promise<Certificate> =>
  once(certificates, mode, async () => {
    if (mode === 'untrusted') return untrusted();
    return issue(
      await ourAuthority(),
      mode === 'wrongName' ? ['elsewhere.emulator.test'] : NAMES,
      mode === 'expired' ? -1 : VALID_DAYS,
    );
  });

/** As an inspecting proxy shows it: a chain that ends in a stranger. */
async function untrusted(): Promise<Certificate> {
  const stranger = await authority('Inspecting proxy');
  const { key, cert } = await issue(stranger, NAMES, VALID_DAYS);
  return { key, cert: cert + stranger.certificate.toString('pem') };
}

async function issue(
  { keys: signer, certificate: issuer }: Authority,
  names: string[],
  validDays: number,
): Promise<Certificate> {
  const keys = await newKeys();
  const alternatives = names.map(value => ({
    type: isIP(value) ? ('ip' as const) : ('dns' as const),
    value,
  }));
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${names[0]}`,
    issuer: issuer.subject,
    ...validity(validDays),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [new SubjectAlternativeNameExtension(alternatives)],
  });
  const key = KeyObject.from(keys.privateKey);
  return {
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `${certificate.toString('pem')}\n`,
  };
}

/** From the day before yesterday on; below zero it has ended. */
const validity = (days: number) => ({
  notBefore: new Date(Date.now() - 2 * DAY_MS),
  notAfter: new Date(Date.now() + days * DAY_MS),
});

export async function secureContext(mode: TlsMode): Promise<SecureContext> {
  return createSecureContext(await serverCertificate(mode));
}

export interface CaFile {
  cert: string;
  certFile: string;
  remove: () => Promise<void>;
}

/** The CA's certificate, also as a file: NODE_EXTRA_CA_CERTS wants one. */
export async function writeCaFile(): Promise<CaFile> {
  const { certificate } = await ourAuthority();
  const cert = `${certificate.toString('pem')}\n`;
  const folder = await mkdtemp(join(tmpdir(), 'lakebase-emulator-'));
  const certFile = join(folder, 'ca.pem');
  await writeFile(certFile, cert);
  const remove = () => rm(folder, { recursive: true, force: true });
  return { cert, certFile, remove };
}
