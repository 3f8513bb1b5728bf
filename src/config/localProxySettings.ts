import { ConfigurationError } from '../errors';
import type { Blocks } from './blocks';
import {
  completeConnection,
  findBaseKey,
  readBaseConnection,
} from './connectionSettings';
import { DATABASE_KEY, LAKEBASE_KEY } from './keys';
import { isSchemaMode, type PgConnection } from './pluginDatabase';

/** Where Postgres clients look for a socket when their host is a directory. */
export interface SocketAddress {
  directory: string;
  port: number;
}

export interface LocalProxySettings {
  socket: SocketAddress;
  /** How it connects itself; its database is the one to create others from. */
  connection: PgConnection;
  role?: string;
}

const PROXY_KEY = `${LAKEBASE_KEY}.localProxy`;
const CONNECTION_KEY = `${DATABASE_KEY}.connection`;

/** The name of the proxy's socket comes from it. */
export const SOCKET_KEY = `${CONNECTION_KEY}.host`;

/** @throws ConfigurationError that names the key and the remedy. */
export function readLocalProxy(
  blocks: Blocks,
  adminDatabase: string,
  env: Record<string, string | undefined>,
): LocalProxySettings | undefined {
  if (!blocks.lakebase.localProxy) return undefined;
  return {
    socket: readSocketAddress(blocks, env),
    connection: {
      ...completeConnection(
        readBaseConnection(blocks),
        findBaseKey(blocks, 'ssl'),
      ),
      database: adminDatabase,
    },
    role: blocks.database.role,
  };
}

/**
 * Where plugins dial that connect by themselves: they read it from
 * `backend.database.connection`, each in its own way.
 */
function readSocketAddress(
  blocks: Blocks,
  env: Record<string, string | undefined>,
): SocketAddress {
  const { connection = {} } = blocks.database;
  // RBAC takes no string.
  if (typeof connection === 'string') {
    throw new ConfigurationError(
      `${CONNECTION_KEY} must be an object beside ${PROXY_KEY}: host, the ` +
        "directory of the proxy's socket, and port",
    );
  }
  const { host, port, ssl, database } = connection;
  if (typeof host !== 'string' || !host.startsWith('/')) {
    throw new ConfigurationError(
      `${SOCKET_KEY} must be the directory of the proxy's socket beside ` +
        `${PROXY_KEY}, such as /tmp/backstage-lakebase`,
      'The host of the endpoint is looked up, or set as ' +
        `${LAKEBASE_KEY}.connection.host`,
    );
  }
  // RBAC has no default for it.
  if (port === undefined) {
    throw new ConfigurationError(
      `${CONNECTION_KEY}.port is missing`,
      `Beside ${PROXY_KEY} it is a part of the name of the proxy's socket: ` +
        'set it to 5432',
    );
  }
  if ((ssl ?? (env.PGSSLMODE || 'disable') !== 'disable') !== false) {
    throw new ConfigurationError(
      `${CONNECTION_KEY}.ssl, or PGSSLMODE, makes plugins ask the local proxy ` +
        'for TLS, which its socket does not need',
      `Set ${CONNECTION_KEY}.ssl: false; the connection to the endpoint is ` +
        `verified TLS in any case, with ${LAKEBASE_KEY}.connection.ssl`,
    );
  }
  // pg's default is the name of the user, and RBAC has none.
  if (isSchemaMode(blocks) && database === undefined) {
    throw new ConfigurationError(
      `${CONNECTION_KEY}.database is missing`,
      `Beside ${PROXY_KEY} and pluginDivisionMode: schema it must be there`,
    );
  }
  return { directory: host, port: Number(port) };
}
