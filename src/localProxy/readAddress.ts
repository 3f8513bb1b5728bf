import { Config } from '@backstage/config';
import { InputError } from '@backstage/errors';
import { JsonObject } from '@backstage/types';
import { DATABASE_KEY, LAKEBASE_KEY } from '../config/config';
import { isSchemaMode } from '../config/pluginDatabase';
import { HOST_KEY, SocketAddress } from './socketFile';

const PROXY_KEY = `${LAKEBASE_KEY}.localProxy`;
const CONNECTION_KEY = `${DATABASE_KEY}.connection`;

/**
 * Where plugins dial that connect by themselves: they read it from
 * `backend.database.connection`, each in its own way.
 *
 * @throws InputError that names the key and the remedy.
 */
export function readLocalProxyAddress(
  rootConfig: Config,
  env: Record<string, string | undefined>,
): SocketAddress {
  const config = rootConfig.getConfig(DATABASE_KEY);
  const connection = config.get<JsonObject | string>('connection');
  // RBAC takes no string.
  if (typeof connection === 'string') {
    throw new InputError(
      `${CONNECTION_KEY} must be an object beside ${PROXY_KEY}: host, the ` +
        "directory of the proxy's socket, and port",
    );
  }
  const { host, port, ssl, database } = connection;
  if (typeof host !== 'string' || !host.startsWith('/')) {
    throw new InputError(
      `${HOST_KEY} must be the directory of the proxy's socket beside ` +
        `${PROXY_KEY}, such as /tmp/backstage-lakebase. The host of the ` +
        'endpoint is looked up, or set as backend.database.lakebase.connection.host',
    );
  }
  // RBAC has no default for it.
  if (port === undefined) {
    throw new InputError(
      `${CONNECTION_KEY}.port is missing. Beside ${PROXY_KEY} it is a part of ` +
        "the name of the proxy's socket: set it to 5432",
    );
  }
  const tls = ssl ?? (env.PGSSLMODE || 'disable') !== 'disable';
  if (tls !== false) {
    throw new InputError(
      `${CONNECTION_KEY}.ssl, or PGSSLMODE, makes plugins ask the local proxy ` +
        `for TLS, which its socket does not need. Set ${CONNECTION_KEY}.ssl: ` +
        'false; the connection to the endpoint is verified TLS in any case, ' +
        'with backend.database.lakebase.connection.ssl',
    );
  }
  // pg's default is the name of the user, and RBAC has none.
  if (isSchemaMode(config) && database === undefined) {
    throw new InputError(
      `${CONNECTION_KEY}.database is missing. Beside ${PROXY_KEY} and ` +
        'pluginDivisionMode: schema it must be there',
    );
  }
  return { directory: host, port: Number(port) };
}
