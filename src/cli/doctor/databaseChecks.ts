import { lookup } from 'node:dns/promises';
import { cureOf } from '../../connections/cures';
import type { EndpointAccess, Session } from '../endpointAccess';
import { Check, filledIn, Finding, ok } from './check';
import { failureOf } from './failureOf';
import { credentialCheck } from './workspaceChecks';

const INSUFFICIENT_PRIVILEGE = '42501';

/** Postgres looks at the database only when it has let the login in. */
const ABOUT_THE_DATABASE: unknown[] = ['database-missing', 'grant-missing'];

/** What to do about a right whose lack was seen before Postgres told it. */
export function refusalOf(
  text: string,
  { target }: Pick<Session, 'target'>,
  schema?: string,
): Finding {
  const message = cureOf(
    { code: INSUFFICIENT_PRIVILEGE, message: text } as Parameters<
      typeof cureOf
    >[0],
    { ...target, schema },
  );
  return failureOf(new Error(message));
}

/** Whether the endpoint's name means an address here. */
export const hostNameCheck: Check = {
  title: 'host name',
  needs: [credentialCheck.title],
  async run({ access }) {
    const { host } = await access.target();
    try {
      const { address } = await lookup(host);
      return ok(`${host} is ${address}`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return [
        {
          status: 'fail',
          message: `The name ${host} could not be resolved (${code})`,
          cure:
            "Check backend.database.connection.host, and this machine's DNS " +
            '(with private link: its private zone):',
          paste: [`nslookup ${host}`],
        },
      ];
    }
  },
};

/** Whether the endpoint lets the credential in. */
export const loginCheck: Check = {
  title: 'login',
  needs: [hostNameCheck.title],
  async run(examination) {
    const { access } = examination;
    const { host, port, user, role } = await access.target();
    const session = await firstSession(access);
    const tls = access.plugin.connection.ssl
      ? 'over verified TLS'
      : 'without TLS';
    if (!session) return ok(`${host}:${port} ${tls} lets ${user} in`);

    examination.session = session;
    const [server] = await session.rows<Server>(SERVER);
    if (server.read_only) throw readOnly(host, port);
    const as = role ? `${user}, as role ${role}` : server.current_user;
    return ok(
      `${host}:${port} ${tls}, Postgres ${server.version}, current_user ${as}`,
    );
  },
};

/** Undefined when the server let the login in, and turned the database down. */
async function firstSession(
  access: EndpointAccess,
): Promise<Session | undefined> {
  if (access.schemaMode) {
    try {
      return await access.open(access.plugin.connection.database);
    } catch (error) {
      // To be created, from the other one.
      if (codeOf(error) !== 'database-missing') throw error;
    }
  }
  try {
    return await access.open(access.use.config.adminDatabase);
  } catch (error) {
    if (!ABOUT_THE_DATABASE.includes(codeOf(error))) throw error;
    return undefined;
  }
}

const codeOf = (error: unknown) => (error as { code?: unknown }).code;

interface Server {
  current_user: string;
  version: string;
  read_only: boolean;
}

const SERVER = `
  SELECT current_user,
    split_part(current_setting('server_version'), ' ', 1) AS version,
    current_setting('transaction_read_only') = 'on' AS read_only`;

const readOnly = (host: string, port: number) =>
  new Error(
    `${host}:${port} is read-only. Point backend.database.lakebase.endpoint ` +
      'and backend.database.connection.host to the read-write endpoint of the ' +
      'branch, not to a replica or an -ro host',
  );

/** Whether there is a database to create others from. */
export const adminDatabaseCheck: Check = {
  title: 'admin database',
  needs: [loginCheck.title],
  async run(examination) {
    const { access } = examination;
    const { adminDatabase } = access.use.config;
    const { session } = examination;
    const admin = await access.open(adminDatabase).catch((error: unknown) => {
      if (!session) throw error;
      return failureOf(error);
    });
    if ('status' in admin) {
      const message =
        `${adminDatabase} does not let the login in, but it is needed only ` +
        `to create ${access.plugin.connection.database}, which exists`;
      return [{ ...admin, status: 'warn', message }];
    }
    const stock = await admin.rows(
      "SELECT FROM pg_database WHERE datname = 'postgres' AND datallowconn",
    );
    const unused =
      stock.length > 0 && adminDatabase !== 'postgres'
        ? '; postgres exists too, and is not used'
        : '';
    return ok(`${adminDatabase} lets the login in${unused}`);
  },
};

/** Whether the databases or schemas of plugins to come can be created. */
export const rightsCheck: Check = {
  title: 'rights',
  needs: [adminDatabaseCheck.title],
  async run(examination) {
    const { access } = examination;
    const { schemaMode } = access;
    const { plugin } = access;
    const session = filledIn(examination.session);
    const own = plugin.connection.database;
    if (schemaMode && session.target.database === own) {
      if (!plugin.ensureSchema) {
        return ok('Schemas are not created (ensureExists: false)');
      }
      const may = await asked(session, MAY_CREATE_SCHEMAS);
      return may
        ? ok(`Schemas may be created in ${own}`)
        : [refusalOf(`permission denied for database ${own}`, session)];
    }
    if (!plugin.ensureDatabase) {
      return ok('Databases are not created (ensureExists: false)');
    }
    const may = await asked(session, MAY_CREATE_DATABASES);
    return may
      ? ok(
          schemaMode
            ? `${own} is missing, and may be created`
            : 'Databases may be created',
        )
      : [refusalOf('permission denied to create database', session)];
  },
};

const MAY_CREATE_SCHEMAS =
  "SELECT has_database_privilege(current_database(), 'CREATE') AS may";

const MAY_CREATE_DATABASES =
  'SELECT rolcreatedb OR rolsuper AS may FROM pg_roles WHERE rolname = current_user';

async function asked(session: Session, sql: string): Promise<boolean> {
  const [{ may }] = await session.rows<{ may: boolean }>(sql);
  return may;
}
