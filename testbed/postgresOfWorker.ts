import { pick } from 'lodash';
import type { PostgresServer } from '../emulator';

/** Workers inherit the environment, and nothing else. */
const VARIABLE = 'LAKEBASE_TEST_SERVERS';

export function handToWorkers(servers: PostgresServer[]): void {
  process.env[VARIABLE] = JSON.stringify(
    servers.map(server =>
      pick(server, 'host', 'port', 'user', 'password', 'data'),
    ),
  );
}

export const hasServers = () => process.env[VARIABLE] !== undefined;

/** The server of this worker, which no other one uses. */
export function postgresOfWorker(): PostgresServer {
  const servers = JSON.parse(process.env[VARIABLE]!) as PostgresServer[];
  const server = servers[Number(process.env.JEST_WORKER_ID) - 1];
  if (!server) {
    throw new Error(
      'Each worker needs a Postgres of its own: run with --maxWorkers=1 on a ' +
        'server that BACKSTAGE_TEST_DATABASE_POSTGRES..._CONNECTION_STRING names',
    );
  }
  return { ...server, stop: async () => {} };
}
