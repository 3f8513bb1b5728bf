import { lookup } from 'node:dns/promises';
import { cureLackOf } from '../../connections/cures';
import { readOnlyFault } from '../../connections/postgresFaults';
import { LakebaseError, type LakebaseErrorCode } from '../../errors';
import { quoteForShell } from '../../texts';
import type { DatabaseAccess, OpenDatabase } from '../databaseAccess';
import { explainFailure } from '../explainFailure';
import { Check, fail, needFilled, ok } from './check';
import { credentialCheck } from './workspaceChecks';

/** Postgres looks at the database only when it has let the login in. */
const ABOUT_THE_DATABASE: LakebaseErrorCode[] = [
  'database-missing',
  'grant-missing',
];

const hasCode = (error: unknown, ...codes: LakebaseErrorCode[]) =>
  error instanceof LakebaseError && codes.includes(error.code);

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
        fail({
          problem: `The name ${host} could not be resolved (${code})`,
          remedy:
            "Check backend.database.connection.host, and this machine's DNS " +
            '(with private link: its private zone)',
          statements: [`nslookup ${quoteForShell(host)}`],
        }),
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
    const target = await access.target();
    const { host, port, user, role } = target;
    const database = await openFirst(access);
    const tls = access.plugin.connection.ssl
      ? 'over verified TLS'
      : 'without TLS';
    if (!database) return ok(`${host}:${port} ${tls} lets ${user} in`);

    examination.database = database;
    const [server] = await database.rows<Server>(SERVER);
    if (server.read_only) throw readOnlyFault(target);
    const as = role ? `${user}, as role ${role}` : server.current_user;
    return ok(
      `${host}:${port} ${tls}, Postgres ${server.version}, current_user ${as}`,
    );
  },
};

/** Undefined when the server let the login in, and turned the database down. */
async function openFirst(
  access: DatabaseAccess,
): Promise<OpenDatabase | undefined> {
  if (access.settings.schemaMode) {
    try {
      return await access.open(access.plugin.connection.database);
    } catch (error) {
      // To be created, from the other one.
      if (!hasCode(error, 'database-missing')) throw error;
    }
  }
  try {
    return await access.open(access.endpoint.adminDatabase);
  } catch (error) {
    if (!hasCode(error, ...ABOUT_THE_DATABASE)) throw error;
    return undefined;
  }
}

interface Server {
  current_user: string;
  version: string;
  read_only: boolean;
}

const SERVER = `
  SELECT current_user,
    split_part(current_setting('server_version'), ' ', 1) AS version,
    pg_is_in_recovery() OR EXISTS (SELECT FROM pg_settings
      WHERE name = 'default_transaction_read_only' AND reset_val = 'on'
    ) AS read_only`;

/** Whether there is a database to create others from. */
export const adminDatabaseCheck: Check = {
  title: 'admin database',
  needs: [loginCheck.title],
  async run(examination) {
    const { access } = examination;
    const { adminDatabase } = access.endpoint;
    const { database } = examination;
    const admin = await access.open(adminDatabase).catch((error: unknown) => {
      if (!database) throw error;
      return fail(explainFailure(error));
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
    const { plugin, settings } = examination.access;
    const { schemaMode } = settings;
    const database = needFilled(examination.database);
    const own = plugin.connection.database;
    if (schemaMode && database.target.database === own) {
      if (!plugin.ensureSchema) {
        return ok('Schemas are not created (ensureExists: false)');
      }
      const may = await mayDo(database, MAY_CREATE_SCHEMAS);
      return may
        ? ok(`Schemas may be created in ${own}`)
        : [fail(cureLackOf.databaseRights(database.target))];
    }
    if (!plugin.ensureDatabase) {
      return ok('Databases are not created (ensureExists: false)');
    }
    const may = await mayDo(database, MAY_CREATE_DATABASES);
    return may
      ? ok(
          schemaMode
            ? `${own} is missing, and may be created`
            : 'Databases may be created',
        )
      : [fail(cureLackOf.databaseCreation(database.target))];
  },
};

const MAY_CREATE_SCHEMAS =
  "SELECT has_database_privilege(current_database(), 'CREATE') AS may";

const MAY_CREATE_DATABASES =
  'SELECT rolcreatedb OR rolsuper AS may FROM pg_roles WHERE rolname = current_user';

async function mayDo(database: OpenDatabase, sql: string): Promise<boolean> {
  const [{ may }] = await database.rows<{ may: boolean }>(sql);
  return may;
}
