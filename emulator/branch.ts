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

/** Roles and databases on the real server: what Lakebase calls a branch. */
export class Branch {
  readonly server: PostgresServer;
  /** What every role logs in with behind the gateway. */
  readonly rolePassword = randomBytes(24).toString('hex');
  readonly #admin: Pool;
  readonly #identities = new Set<string>();

  static async create(server: PostgresServer): Promise<Branch> {
    const branch = new Branch(server);
    // An emulator that was killed leaves its databases and roles behind.
    await branch.#drop();
    await branch.#admin.query(`CREATE DATABASE ${DATABASE}`);
    return branch;
  }

  private constructor(server: PostgresServer) {
    this.server = server;
    this.#admin = new Pool({ ...this.#connection('postgres'), max: 4 });
    // An idle connection that the server closes is replaced at the next query.
    this.#admin.on('error', () => {});
  }

  async createRole(name: string, options: RoleOptions = {}): Promise<void> {
    const { attributes = '', identity = true } = options;
    const role = escapeIdentifier(name);
    const password = escapeLiteral(this.rolePassword);
    await this.#admin.query(
      `CREATE ROLE ${role} LOGIN ${attributes} PASSWORD ${password};
       COMMENT ON ROLE ${role} IS ${escapeLiteral(MARK)};
       GRANT CREATE, CONNECT, TEMPORARY ON DATABASE ${DATABASE} TO ${role}`,
    );
    if (identity) this.#identities.add(name);
  }

  async role(name: string): Promise<'identity' | 'plain' | 'missing'> {
    const { rowCount } = await this.#admin.query(
      'SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin',
      [name],
    );
    if (!rowCount) return 'missing';
    return this.#identities.has(name) ? 'identity' : 'plain';
  }

  async terminate(processId: number): Promise<void> {
    await this.#admin.query('SELECT pg_terminate_backend($1, $2)', [
      processId,
      TERMINATE_TIMEOUT_MS,
    ]);
  }

  async query(
    sql: string,
    params: unknown[] | undefined,
    database: string,
  ): Promise<QueryResultRow[]> {
    const client = new Client(this.#connection(database));
    await client.connect();
    try {
      const { rows } = await client.query<QueryResultRow>(sql, params);
      return rows;
    } finally {
      await client.end();
    }
  }

  async remove(): Promise<void> {
    await this.#drop();
    await this.#admin.end();
  }

  async #drop(): Promise<void> {
    const databases = await this.#admin.query<{ datname: string }>(
      `SELECT datname FROM pg_database
       WHERE datname = '${DATABASE}'
          OR datdba IN (SELECT oid FROM (${OUR_ROLES}) ours)`,
    );
    for (const { datname } of databases.rows)
      await this.#admin.query(
        `DROP DATABASE ${escapeIdentifier(datname)} WITH (FORCE)`,
      );

    const roles = await this.#admin.query<{ rolname: string }>(OUR_ROLES);
    if (roles.rows.length === 0) return;
    const names = roles.rows
      .map(({ rolname }) => escapeIdentifier(rolname))
      .join(', ');
    for (const database of await this.#databasesInvolved())
      await this.query(`DROP OWNED BY ${names} CASCADE`, undefined, database);
    await this.#admin.query(`DROP ROLE ${names}`);
  }

  /** Databases of others in which our roles own something or were granted it. */
  async #databasesInvolved(): Promise<string[]> {
    const { rows } = await this.#admin.query<{ datname: string }>(
      `SELECT DISTINCT datname FROM pg_shdepend
         JOIN pg_database ON pg_database.oid =
           CASE WHEN classid = 'pg_database'::regclass THEN objid ELSE dbid END
       WHERE refclassid = 'pg_authid'::regclass
         AND refobjid IN (SELECT oid FROM (${OUR_ROLES}) ours)`,
    );
    return rows.map(({ datname }) => datname);
  }

  // Every field is given, for pg takes missing ones from the environment.
  #connection(database: string) {
    const { host, port, user, password } = this.server;
    return { host, port, user, password, database, ssl: false };
  }
}
