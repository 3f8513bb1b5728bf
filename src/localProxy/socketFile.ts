import { once } from 'node:events';
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, realpath, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import path from 'node:path';
import { type SocketAddress, SOCKET_KEY } from '../config/localProxySettings';
import { ConfigurationError } from '../errors';

/** What macOS has room for in the address of a socket; Linux has 4 more. */
const MAX_PATH_BYTES = 103;

/** Normalised: with a slash at its end, a link would be followed. */
export const socketPath = ({ directory, port }: SocketAddress) =>
  path.join(path.resolve(directory), `.s.PGSQL.${port}`);

/**
 * Listens on a socket that only this user can reach.
 *
 * @throws ConfigurationError
 */
export async function listenPrivately(
  server: Server,
  address: SocketAddress,
): Promise<void> {
  const file = socketPath(address);
  try {
    if (Buffer.byteLength(file) > MAX_PATH_BYTES) {
      // Node would cut it off.
      throw new Error(`the path is longer than ${MAX_PATH_BYTES} bytes`);
    }
    const directory = path.dirname(file);
    const before = await makePrivate(directory);
    await listen(server, file).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      if (await isServed(file))
        throw new Error('another process listens there');
      // A process that was killed leaves its socket behind.
      await unlink(file);
      await listen(server, file);
    });
    const after = await lstat(directory);
    if (after.ino !== before.ino || after.dev !== before.dev) {
      server.close();
      throw new Error(`${directory} was replaced meanwhile`);
    }
  } catch (error) {
    throw new ConfigurationError(
      'The local proxy (backend.database.lakebase.localProxy) cannot listen ' +
        `at ${file}`,
      `Point ${SOCKET_KEY} to a directory that this process alone uses and ` +
        'may create, such as /tmp/backstage-lakebase',
      error,
    );
  }
}

/** Whoever can open the socket can use the database, so nobody else may. */
async function makePrivate(directory: string): Promise<Stats> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  if (!found.isDirectory()) throw new Error(`${directory} is not a directory`);
  if (found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
    throw new Error(
      `${directory} is open to other users: its owner must be the user of ` +
        'this process, and its mode 0700',
    );
  }
  const parent = path.dirname(directory);
  const parents = [...upwards(parent), ...upwards(await realpath(parent))];
  for (const place of new Set(parents)) await checkParent(place);
  return found;
}

function upwards(directory: string): string[] {
  const parent = path.dirname(directory);
  return parent === directory ? [directory] : [directory, ...upwards(parent)];
}

/**
 * Whoever may rename a directory can put another one in its place. As OpenSSH
 * has it for its keys, but for directories like /tmp, where nobody renames what
 * is not theirs.
 */
async function checkParent(directory: string): Promise<void> {
  const { uid, mode } = await lstat(directory);
  const isLink = (mode & constants.S_IFMT) === constants.S_IFLNK;
  const sticky = (mode & 0o1000) !== 0;
  const writable = !isLink && !sticky && (mode & 0o022) !== 0;
  if ((uid === 0 || uid === process.getuid?.()) && !writable) return;
  throw new Error(
    `${directory} belongs to another user, or others may write to it: they ` +
      'could replace what lies in it',
  );
}

async function listen(server: Server, file: string): Promise<void> {
  server.listen(file);
  await once(server, 'listening');
}

async function isServed(file: string): Promise<boolean> {
  const probe = connect(file);
  try {
    await once(probe, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    probe.destroy();
  }
}
