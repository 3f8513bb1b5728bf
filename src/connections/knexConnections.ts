import type { Client, ClientConfig } from 'pg';
import { markUnusable, type PgKnexClient } from './knexInternals';
import type { ConnectionMaker } from './openConnection';
import { getWire } from './pgWire';
import { assumeRole, runAtOnce } from './session';
import { readingOnce } from './sockets';

/**
 * After a failover a session may be left on the old primary; the next one is on
 * the new one.
 */
const READ_ONLY = '25006';

/** Makes connections as Knex would. */
export const knexConnections = (
  client: PgKnexClient,
  role: string | undefined,
): ConnectionMaker<Client> => {
  const settings = client.connectionSettings;
  const ssl = readingOnce(settings.ssl);
  return {
    create(token, socket, { options, ...way }) {
      const connection = new client.driver.Client({
        ...settings,
        ssl: ssl(),
        password: token,
        stream: () => socket,
        ...way,
        // The later one wins.
        ...(options && {
          options: joined(configuredOptions(settings), options),
        }),
      });
      watchForEnd(connection);
      learnVersion(client, connection);
      return connection;
    },
    async prepare(connection, settled) {
      // Only where a server or what is before it keeps its version to itself.
      client.version ??= await client.checkVersion(connection);
      if (settled) return;
      const setSearchPath = await searchPathStatements(client);
      await runAtOnce(connection, [...setSearchPath, ...assumeRole(role)]);
    },
  };
};

/** What pg would send without ours. */
const configuredOptions = ({ options }: ClientConfig) =>
  options ?? process.env.PGOPTIONS;

const joined = (...texts: (string | undefined)[]) =>
  texts.filter(Boolean).join(' ');

/** In Knex's own words, or its complaint. */
async function searchPathStatements(client: PgKnexClient): Promise<string[]> {
  const statements: string[] = [];
  await client.setSchemaSearchPath({
    query: (sql, done) => {
      statements.push(sql);
      done();
    },
  });
  return statements;
}

function watchForEnd(connection: Client): void {
  const end = (error?: unknown) =>
    markUnusable(connection, error ?? 'Connection ended unexpectedly');
  connection.on('error', end);
  connection.on('end', end);
  // A query in flight gets the server's last words, and Knex the connection
  // back, before pg notices the end.
  getWire(connection).on('errorMessage', ({ severity, code }) => {
    if (severity === 'FATAL' || severity === 'PANIC') end(severity);
    if (code === READ_ONLY) end('The server takes no writes');
  });
}

/**
 * The server reports it at every login, which saves a query: the first word of
 * what Knex would read out of `select version()`.
 */
function learnVersion(client: PgKnexClient, connection: Client): void {
  getWire(connection).on(
    'parameterStatus',
    ({ parameterName, parameterValue }) => {
      if (parameterName !== 'server_version') return;
      client.version ??= parameterValue.split(' ')[0];
    },
  );
}
