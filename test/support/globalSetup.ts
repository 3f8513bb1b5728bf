import type { Config } from 'jest';
import { postgresFromEnvironment, startPostgresProcess } from '../../emulator';
import { handToWorkers, hasServers } from '../../testbed/postgresOfWorker';

/**
 * Gives each worker a Postgres server of its own, since emulators make and drop
 * databases of fixed names on it; or the only worker the environment's.
 */
export default async function globalSetup({ maxWorkers }: Config) {
  // Whoever runs Jest again and again keeps the servers.
  if (hasServers()) return;
  const given = postgresFromEnvironment();
  if (given) return handToWorkers([given]);

  // In processes of their own, so that an aborted run leaves no server behind.
  const servers = await Promise.all(
    Array.from({ length: Number(maxWorkers) }, () =>
      startPostgresProcess({ inMemory: true }),
    ),
  );
  globalThis.testServers = servers;
  handToWorkers(servers);
}
