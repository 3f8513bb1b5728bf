import { randomBytes } from 'node:crypto';
import {
  Client,
  escapeIdentifier,
  escapeLiteral,
  Pool,
  type QueryResultRow,
} from 'pg';
import type { PostgresServer } from './postgres/postgresServer';

export const DATABASE = 'databricks_postgres';

/** How long a backend may take to go away. */
const TERMINATE_TIMEOUT_MS = 5_000;

// Tells the emulator's roles from those that the server had before.
const MARK = 'made by the Lakebase emulator';

const OUR_ROLES = `
  SELECT oid, rolname FROM pg_roles
  WHERE shobj_description(oid, 'pg_authid') = ${escapeLiteral(MARK)}`;

export interface RoleOptions {
  /** As in CREATE ROLE, for example `CREATEDB`. */
  attributes?: string;
  /** Whether the role is linked to a workspace identity, and so can use OAuth. */
  identity?: boolean;
}

/** Where a branch's server is, and what its roles log in with behind the gateway. */
interface BranchParts {
  /** Starts it, once. */
  start: () => Promise<PostgresServer>;
  rolePassword: string;
  /** Roles that are linked to identities of the workspace. */
  identities: Iterable<string>;
  remove: (branch: Branch) => Promise<void>;
}

/** Roles and databases on a real server: what Lakebase calls a branch. */
export class Branch {
  readonly rolePassword: string;
  readonly #start: () => Promise<PostgresServer>;
  readonly #remove: (branch: Branch) => Promise<void>;
  readonly #identities: Set<string>;
  #server?: Promise<PostgresServer>;
  #admin?: Pool;
  #gone = false;

  /** The root of all others, on a server that is there. */
  static async create(server: PostgresServer): Promise<Branch> {
    const branch = new Branch({
      start: () => Promise.resolve(server),
      rolePassword: randomBytes(24).toString('hex'),
      identities: [],
      remove: async self => {
        await self.#drop();
        await self.#disconnect();
      },
    });
    // An emulator that was killed leaves its databases and roles behind.
    await branch.#drop();
    const admin = await branch.#pool();
    await admin.query(`CREATE DATABASE ${DATABASE}`);
    return branch;
  }

  /** One on a copy of this one's data, whose server sleeps until it is needed. */
  copy(
    start: () => Promise<PostgresServer>,
    remove: () => Promise<void>,
  ): Branch {
    return new Branch({
      start,
      rolePassword: this.rolePassword,
      identities: this.#identities,
      remove: async self => {
        const server = await self.#server?.catch(() => undefined);
        await self.#disconnect();
        await server?.stop();
        await remove();
      },
    });
  }

  private constructor({
    start,
    rolePassword,
    identities,
    remove,
  }: BranchParts) {
    this.#start = start;
    this.rolePassword = rolePassword;
    this.#identities = new Set(identities);
    this.#remove = remove;
  }

  server(): Promise<PostgresServer> {
    this.#server ??= this.#start();
    return this.#server;
  }

  async createRole(name: string, options: RoleOptions = {}): Promise<void> {
    const { attributes = '', identity = true } = options;
    const role = escapeIdentifier(name);
    const password = escapeLiteral(this.rolePassword);
    const admin = await this.#pool();
    await admin.query(
      `CREATE ROLE ${role} LOGIN ${attributes} PASSWORD ${password};
       COMMENT ON ROLE ${role} IS ${escapeLiteral(MARK)};
       GRANT CREATE, CONNECT, TEMPORARY ON DATABASE ${DATABASE} TO ${role}`,
    );
    if (identity) this.#identities.add(name);
  }

  async role(name: string): Promise<'identity' | 'plain' | 'missing'> {
    const admin = await this.#pool();
    const { rowCount } = await admin.query(
      'SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin',
      [name],
    );
    if (!rowCount) return 'missing';
    return this.#identities.has(name) ? 'identity' : 'plain';
  }

  async terminate(processId: number): Promise<void> {
    const admin = await this.#pool();
    await admin.query('SELECT pg_terminate_backend($1, $2)', [
      processId,
      TERMINATE_TIMEOUT_MS,
    ]);
  }

  async query(
    sql: string,
    params: unknown[] | undefined,
    database: string,
  ): Promise<QueryResultRow[]> {
    const client = new Client(connectionTo(await this.server(), database));
    await client.connect();
    try {
      const { rows } = await client.query<QueryResultRow>(sql, params);
      return rows;
    } finally {
      await client.end();
    }
  }

  async remove(): Promise<void> {
    await this.#remove(this);
  }

  /** Before the server goes away, or after all is done. */
  async #disconnect(): Promise<void> {
    this.#gone = true;
    await this.#admin?.end();
    this.#admin = undefined;
  }

  async #pool(): Promise<Pool> {
    const server = await this.server();
    // A login that was under way at the end would open one that nobody closes.
    if (this.#gone) throw new Error('The branch is gone');
    if (!this.#admin) {
      this.#admin = new Pool({ ...connectionTo(server, 'postgres'), max: 4 });
      // An idle connection that the server closes is replaced at the next query.
      this.#admin.on('error', () => {});
    }
    return this.#admin;
  }

  async #drop(): Promise<void> {
    const admin = await this.#pool();
    const databases = await admin.query<{ datname: string }>(
      `SELECT datname FROM pg_database
       WHERE datname = '${DATABASE}'
          OR datdba IN (SELECT oid FROM (${OUR_ROLES}) ours)`,
    );
    for (const { datname } of databases.rows)
      await admin.query(
        `DROP DATABASE ${escapeIdentifier(datname)} WITH (FORCE)`,
      );

    const roles = await admin.query<{ rolname: string }>(OUR_ROLES);
    if (roles.rows.length === 0) return;
    const names = roles.rows
      .map(({ rolname }) => escapeIdentifier(rolname))
      .join(', ');
    for (const database of await this.#databasesInvolved())
      await this.query(`DROP OWNED BY ${names} CASCADE`, undefined, database);
    await admin.query(`DROP ROLE ${names}`);
  }

  /** Databases of others in which our roles own something or were granted it. */
  async #databasesInvolved(): Promise<string[]> {
    const admin = await this.#pool();
    const { rows } = await admin.query<{ datname: string }>(
      `SELECT DISTINCT datname FROM pg_shdepend
         JOIN pg_database ON pg_database.oid =
           CASE WHEN classid = 'pg_database'::regclass THEN objid ELSE dbid END
       WHERE refclassid = 'pg_authid'::regclass
         AND refobjid IN (SELECT oid FROM (${OUR_ROLES}) ours)`,
    );
    return rows.map(({ datname }) => datname);
  }
}

/** Every field is given, for pg takes missing ones from the environment. */
const connectionTo = (
  { host, port, user, password }: PostgresServer,
  database: string,
) => ({ host, port, user, password, database, ssl: false });
