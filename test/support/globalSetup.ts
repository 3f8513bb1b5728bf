import { postgresFromEnvironment, startPostgresProcess } from '../../emulator';

/** Gives the tests a Postgres server: the environment's, or a fresh one. */
export default async function globalSetup() {
  if (postgresFromEnvironment()) return;
  // A process of its own, so that an aborted run leaves no server behind.
  const server = await startPostgresProcess();
  const { host, port, user, password } = server;
  process.env.BACKSTAGE_TEST_DATABASE_POSTGRES18_CONNECTION_STRING = `postgresql://${user}:${password}@${host}:${port}/postgres`;
  globalThis.testPostgres = server;
}
