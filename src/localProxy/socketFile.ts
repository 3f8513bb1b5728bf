import { once } from 'node:events';
import { lstat, mkdir, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import path from 'node:path';
import { type SocketAddress, SOCKET_KEY } from '../config/localProxySettings';
import { ConfigurationError } from '../errors';

/** What macOS has room for in the address of a socket; Linux has 4 more. */
const MAX_PATH_BYTES = 103;

export const socketPath = ({ directory, port }: SocketAddress) =>
  path.join(directory, `.s.PGSQL.${port}`);

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
    await makePrivate(address.directory);
    await listen(server, file).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      if (await isServed(file))
        throw new Error('another process listens there');
      // A process that was killed leaves its socket behind.
      await unlink(file);
      await listen(server, file);
    });
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
async function makePrivate(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  if (!found.isDirectory()) throw new Error(`${directory} is not a directory`);
  if (found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
    throw new Error(
      `${directory} is open to other users: its owner must be the user of ` +
        'this process, and its mode 0700',
    );
  }
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
