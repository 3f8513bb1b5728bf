import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { createCA, createCert, type Certificate } from 'mkcert';

/**
 * What the gateway shows its clients: `renewed` is valid as well, the next one
 * by the same authority; `off` answers that there is no TLS.
 */
export type TlsMode =
  'valid' | 'renewed' | 'untrusted' | 'wrongName' | 'expired' | 'off';

const NAMES = ['localhost', '127.0.0.1', '::1', '*.database.emulator.test'];
const VALID_DAYS = 30;

// A key pair takes a fifth of a second: all emulators of a process share them,
// and each is made when first needed.
const made = new Map<string, Promise<Certificate>>();

function once(
  name: string,
  make: () => Promise<Certificate>,
): Promise<Certificate> {
  const certificate = made.get(name) ?? make();
  made.set(name, certificate);
  return certificate;
}

const authority = (name: string) =>
  once(name, () =>
    createCA({
      organization: name,
      countryCode: 'NL',
      state: 'Emulator',
      locality: 'Emulator',
      validity: VALID_DAYS,
    }),
  );

const ourAuthority = () => authority('Lakebase emulator');

export const serverCertificate = (mode: TlsMode): Promise<Certificate> =>
  once(mode, async () => {
    if (mode === 'untrusted') return untrusted();
    return createCert({
      ca: await ourAuthority(),
      domains: mode === 'wrongName' ? ['elsewhere.emulator.test'] : NAMES,
      validity: mode === 'expired' ? -1 : VALID_DAYS,
    });
  });

/** As an inspecting proxy shows it: a chain that ends in a stranger. */
async function untrusted(): Promise<Certificate> {
  const ca = await authority('Inspecting proxy');
  const { key, cert } = await createCert({
    ca,
    domains: NAMES,
    validity: VALID_DAYS,
  });
  return { key, cert: cert + ca.cert };
}

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
  const { cert } = await ourAuthority();
  const folder = await mkdtemp(join(tmpdir(), 'lakebase-emulator-'));
  const certFile = join(folder, 'ca.pem');
  await writeFile(certFile, cert);
  const remove = () => rm(folder, { recursive: true, force: true });
  return { cert, certFile, remove };
}
