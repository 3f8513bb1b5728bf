import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { JsonObject } from '@backstage/types';
import {
  databaseConfig,
  startEmulator,
  type Emulator,
  type Login,
  type PostgresServer,
} from '../../emulator';
import { waitFor } from '../../testbed/waiting';

export const DIVISION_MODES = ['database', 'schema'] as const;
export type DivisionMode = (typeof DIVISION_MODES)[number];

/** Renewed after half of it. */
const CREDENTIAL_LIFE_MS = 20_000;

const STOCK_USER = 'stock_backstage';

/** Told for a database that is missing, after which the module creates it. */
const MISSING_DATABASE = '3D000';

/** An empty server, and how backends are led to it. */
export class Installation {
  readonly mode: DivisionMode;
  readonly emulator: Emulator;
  readonly #postgres: PostgresServer;
  readonly #stockPassword = randomBytes(16).toString('hex');
  readonly #branch?: string;

  static async open(
    postgres: PostgresServer,
    mode: DivisionMode,
  ): Promise<Installation> {
    const emulator = await startEmulator({
      postgres,
      credentialLifeMs: CREDENTIAL_LIFE_MS,
    });
    const installation = new Installation(postgres, mode, emulator);
    await emulator.createRole(STOCK_USER, { attributes: 'CREATEDB' });
    await emulator.query(
      `ALTER ROLE ${STOCK_USER} PASSWORD '${installation.#stockPassword}'`,
    );
    return installation;
  }

  private constructor(
    postgres: PostgresServer,
    mode: DivisionMode,
    emulator: Emulator,
    branch?: string,
  ) {
    this.#postgres = postgres;
    this.mode = mode;
    this.emulator = emulator;
    this.#branch = branch;
  }

  /** The same, seen from one of its branches, `projects/…/branches/…`. */
  on(branch: string): Installation {
    return new Installation(this.#postgres, this.mode, this.emulator, branch);
  }

  /** `backend.database` on Lakebase. */
  readonly ours = (backendName: string): JsonObject => {
    const { connection, lakebase, ...rest } = databaseConfig(this.emulator);
    return {
      ...rest,
      pluginDivisionMode: this.mode,
      connection: { ...connection, application_name: backendName },
      // So that each of the short-lived credentials gets to log in.
      lakebase: {
        ...lakebase,
        ...(this.#branch && { endpoint: `${this.#branch}/endpoints/primary` }),
        maxConnectionAge: { seconds: 5 },
      },
    };
  };

  /** `backend.database` on plain Postgres, with a password. */
  readonly stock = (backendName: string): JsonObject => {
    const { host, port } = this.#postgres;
    return {
      client: 'pg',
      pluginDivisionMode: this.mode,
      connection: {
        host,
        port,
        user: STOCK_USER,
        password: this.#stockPassword,
        database: 'databricks_postgres',
        application_name: backendName,
      },
    };
  };

  /** How many rows of a plugin's table there are. */
  async count(plugin: string, table: string, where = 'true'): Promise<number> {
    const [schema, database] =
      this.mode === 'schema'
        ? [plugin, undefined]
        : ['public', `backstage_plugin_${plugin}`];
    const [{ rows }] = await this.query(
      `SELECT count(*) AS rows FROM "${schema}"."${table}" WHERE ${where}`,
      database,
    );
    return Number(rows);
  }

  /** A checksum of each table of the plugins, by its name. */
  async contents(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    const databases = await this.query(
      `SELECT datname FROM pg_database
       WHERE datname LIKE 'backstage%' OR datname = 'databricks_postgres'`,
    );
    for (const { datname } of databases) {
      const database = String(datname);
      const tables = await this.query(
        `SELECT format('%I.%I', nspname, relname) AS name FROM pg_class
         JOIN pg_namespace n ON n.oid = relnamespace
         WHERE relkind = 'r' AND nspname !~ '^pg_|^information_schema$'`,
        database,
      );
      for (const { name } of tables) {
        const [{ sum }] = await this.query(
          `SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) AS sum
           FROM ${name} t`,
          database,
        );
        found[`${database}: ${name}`] = String(sum);
      }
    }
    return found;
  }

  /** Runs as superuser. */
  query(sql: string, database?: string) {
    return this.#branch
      ? this.emulator.queryBranch(this.#branch, sql, database)
      : this.emulator.query(sql, [], database);
  }

  /** Waits until a credential that is new to this backend has let it in. */
  async rotation(backendName: string, signal: AbortSignal): Promise<void> {
    const { gateway } = this.emulator;
    const own = (login: Login) => login.applicationName === backendName;
    const used = new Set(gateway.logins.filter(own).map(l => l.tokenId));
    const next = async () => {
      for (;;) {
        const [login] = (await once(gateway, 'login', { signal })) as [Login];
        if (own(login) && !used.has(login.tokenId)) return;
      }
    };
    await waitFor(() => `a new credential of ${backendName}`, next, signal);
  }

  get refusedLogins(): string[] {
    return this.emulator.gateway.refusals
      .filter(({ code }) => code !== MISSING_DATABASE)
      .map(({ kind, code }) => `a login was refused: ${kind} (${code})`);
  }

  stop(): Promise<void> {
    return this.emulator.stop();
  }
}
