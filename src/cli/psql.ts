import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, rootCertificates } from 'node:tls';
import { NotFoundError } from '@backstage/errors';
import type { DatabaseAccess } from './databaseAccess';
import { openAccess } from './openAccess';
import { psqlEnvironment, getTlsOptions } from './psqlEnvironment';
import { requireTables } from './requireTables';
import type { Terminal } from './terminal';

export interface PsqlOptions {
  config?: string[];
  plugin?: string;
  /** For psql itself. */
  args: string[];
}

/** Runs psql where a plugin has its tables, or in the database in common. */
export async function psql(
  options: PsqlOptions,
  terminal: Terminal,
): Promise<number> {
  const access = await openAccess(options.config, terminal, options.plugin);
  try {
    const login = await findLogin(access, options.plugin);
    const trusted = await readAuthorities(access, terminal.env);
    return await withFile(trusted, async caFile => {
      const env = await psqlEnvironment(terminal.env, { ...login, caFile });
      return run(options.args, env);
    });
  } finally {
    await access.close();
  }
}

/** Hands over a file that is there for so long. */
async function withFile<T>(
  content: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'backstage-lakebase-'));
  try {
    const path = join(folder, 'ca.pem');
    await writeFile(path, content);
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function findLogin(access: DatabaseAccess, pluginId?: string) {
  const { settings, endpoint, plugin } = access;
  const { connectTimeoutMs, adminDatabase } = endpoint;
  if (pluginId !== undefined) await requireTables(access, pluginId);
  const target = await access.target();
  const { token: password } = await access.credential();
  const login = { target, plugin, password, connectTimeoutMs };
  if (pluginId !== undefined) return login;

  const database = settings.schemaMode ? target.database : adminDatabase;
  return {
    ...login,
    target: { ...target, database },
    plugin: { ...plugin, knexConfig: {} },
  };
}

/**
 * The authorities that the backend trusts, for a file: libpq below 16 does not
 * know `system`, and no libpq knows what Node trusts in addition.
 */
async function readAuthorities(
  { plugin }: DatabaseAccess,
  { NODE_EXTRA_CA_CERTS: extra }: Terminal['env'],
): Promise<string> {
  const { ca } = getTlsOptions(plugin);
  if (ca) return [ca].flat().join('\n');
  // Node 20 has no word for all that it trusts.
  const trusted = (
    getCACertificates as typeof getCACertificates | undefined
  )?.();
  if (trusted) return trusted.join('\n');
  return [...rootCertificates, extra ? await readFile(extra, 'utf8') : ''].join(
    '\n',
  );
}

const NOT_INSTALLED =
  'psql is not installed, or not in PATH. Install it:\n' +
  '  sudo apt install postgresql-client\n' +
  '  brew install libpq && brew link --force libpq\n' +
  '  winget install PostgreSQL.PostgreSQL.17';

/** Ctrl-C is for psql to understand: it ends a query there, not the session. */
const FOR_PSQL: NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];
const PASSED_ON: NodeJS.Signals[] = ['SIGTERM', 'SIGHUP'];

async function run(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn('psql', args, { stdio: 'inherit', env });
  const ignore = () => {};
  const passOn = (signal: NodeJS.Signals) => child.kill(signal);
  FOR_PSQL.forEach(signal => process.on(signal, ignore));
  PASSED_ON.forEach(signal => process.on(signal, passOn));
  try {
    const [code, signal] = (await once(child, 'exit')) as [
      number | null,
      NodeJS.Signals | null,
    ];
    return code ?? 128 + constants.signals[signal!];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new NotFoundError(NOT_INSTALLED);
  } finally {
    FOR_PSQL.forEach(signal => process.off(signal, ignore));
    PASSED_ON.forEach(signal => process.off(signal, passOn));
  }
}
