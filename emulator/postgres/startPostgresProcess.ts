import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PostgresServer } from './postgresServer';
import type { PostgresOptions } from './startPostgres';

/**
 * Starts Postgres under a process of its own that Ctrl-C does not reach: it
 * ends Postgres and removes its folders once this process is gone or calls
 * `stop`, so that whoever is connected here can shut down first.
 */
export async function startPostgresProcess(
  options: PostgresOptions = {},
): Promise<PostgresServer> {
  const args = [JSON.stringify(options)];
  // As it is published, or the source.
  const built = extname(__filename) === '.js';
  const entry = `postgresKeeper.${built ? 'js' : 'ts'}`;
  const keeper = fork(join(__dirname, entry), args, {
    execArgv: built
      ? []
      : ['--import', pathToFileURL(require.resolve('tsx')).href],
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const server = await firstMessage(keeper);
  // It watches us; we need not stay alive for it.
  keeper.unref();
  keeper.channel?.unref();

  const stop = async () => {
    keeper.ref();
    keeper.disconnect();
    await once(keeper, 'exit');
  };
  return { ...server, stop };
}

function firstMessage(
  keeper: ChildProcess,
): Promise<Omit<PostgresServer, 'stop'>> {
  return new Promise((resolve, reject) => {
    keeper.once('message', server =>
      resolve(server as Omit<PostgresServer, 'stop'>),
    );
    keeper.once('error', reject);
    keeper.once('exit', () => reject(new Error('Postgres did not start')));
  });
}
