import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { LoggerService } from '@backstage/backend-plugin-api';
import { Knex } from 'knex';
import { escapeIdentifier } from 'pg';
import type { MintingSettings } from './config/endpointSettings';
import { type PluginDatabase, toAdminDatabase } from './config/pluginDatabase';
import type { PluginSettings } from './config/readConfig';
import type { ConnectionBudget } from './connections/connectionBudget';
import type { DirectTls } from './connections/directTls';
import {
  createKnexClient,
  openFirst,
  propagatingErrors,
} from './connections/knexClient';
import { ConnectListener, TokenSource } from './connections/openConnection';
import type { SessionOptions } from './connections/session';
import { closeKnexClient } from './connections/poolShutdown';
import { explainConnectFault } from './connections/postgresFaults';
import { remember } from './connections/remember';
import { cutOff } from './connections/sockets';
import type { ConnectionTarget } from './connections/target';
import type { Targets } from './connections/targets';
import { LakebaseError } from './errors';
import { Migrated } from './migrations/migrated';
import { takeTurnsAtMigrations } from './migrations/turns';
import type { Attempts } from './time/attempts';
import type { Clock } from './time/clock';
import { retry } from './time/retry';
import { withPatience } from './time/shutdown';

/** Another replica was faster: duplicate database, schema, or catalog row. */
const ALREADY_THERE = ['42P04', '42P06', '23505'];

interface Pool {
  knex: Knex;
  sockets: Set<Socket>;
  target: ConnectionTarget;
}

export interface LakebaseConnectorOptions {
  settings: MintingSettings;
  tokens: TokenSource;
  targets: Targets;
  attempts: Attempts;
  logger: LoggerService;
  budget?: ConnectionBudget;
  directTls: DirectTls;
  sessionOptions: SessionOptions;
  /** Hears how connections of the pool of this owner are opened. */
  listen?: (owner: string) => ConnectListener[];
  clock: Clock;
}

/** Gives each plugin a Knex whose database and schema exist. */
export class LakebaseConnector {
  readonly #options: LakebaseConnectorOptions;
  readonly #migrated = new Migrated();
  readonly #clients = new Map<string, Promise<Knex>>();
  readonly #pools = new Set<Pool>();
  readonly #admins = new Map<string, Promise<Pool>>();

  constructor(options: LakebaseConnectorOptions) {
    this.#options = options;
  }

  /**
   * The plugin's Knex, the same for every caller, after a first connection has
   * succeeded.
   *
   * @throws LakebaseError; the next call tries again.
   */
  getClient(plugin: PluginSettings): Promise<Knex> {
    return remember(this.#clients, plugin.id, () => this.#createClient(plugin));
  }

  /** The pools of all plugins that have asked for one, and got it. */
  async clients(): Promise<Knex[]> {
    const settled = await Promise.allSettled(this.#clients.values());
    return settled.flatMap(client =>
      client.status === 'fulfilled' ? [client.value] : [],
    );
  }

  /** A line for each plugin that has migrated since the last call. */
  migrated(): string[] {
    return this.#migrated.tell();
  }

  /** Closes every connection: those in use get a while to finish. */
  async close(): Promise<void> {
    await withPatience(this.#closePools(), this.#options.clock);
    this.#pools.forEach(({ sockets }) => cutOff(sockets));
  }

  async #closePools(): Promise<void> {
    await this.#options.attempts.stop();
    // Callers of the attempts that just ended get their errors first.
    await setImmediate();
    await Promise.allSettled(
      [...this.#pools].map(({ knex }) => closeKnexClient(knex)),
    );
  }

  async #createClient({ id, database }: PluginSettings): Promise<Knex> {
    let pool: Pool | undefined;
    try {
      pool = await this.#openPool(database, id);
      await this.#prepare(pool, database);
      return pool.knex;
    } catch (error) {
      await this.#closePool(pool);
      throw new LakebaseError(
        error instanceof LakebaseError ? error.code : 'database-error',
        { problem: `The database of plugin '${id}' is not available` },
        { cause: error },
      );
    }
  }

  async #openPool(database: PluginDatabase, owner: string): Promise<Pool> {
    const { settings, targets, listen, ...shared } = this.#options;
    const { connection, role, connectTimeoutMs } = database;
    const target = await targets.complete(connection, role);
    const { host, user } = target;
    const sockets = new Set<Socket>();
    const knex = createKnexClient({
      ...shared,
      config: {
        ...database.knexConfig,
        connection: { ...connection, host, user },
      },
      target,
      connectTimeoutMs,
      maxConnectionAgeMs: settings.maxConnectionAgeMs,
      sockets,
      owner,
      listeners: listen?.(owner),
    });
    const { logger, clock } = shared;
    takeTurnsAtMigrations(knex, {
      owner,
      onMigrated: (count, ms) => this.#migrated.add(owner, count, ms),
      patienceMs: connectTimeoutMs,
      database: connection.database,
      logger,
      clock,
    });
    const pool = { knex, sockets, target };
    this.#pools.add(pool);
    return pool;
  }

  async #closePool(pool: Pool | undefined): Promise<void> {
    if (!pool) return;
    await pool.knex.destroy();
    this.#pools.delete(pool);
  }

  /**
   * The server may go away between two statements, and a plugin that fails to
   * start is not started again.
   */
  #prepare(pool: Pool, database: PluginDatabase): Promise<void> {
    const { attempts, clock } = this.#options;
    const prepare = async () => {
      try {
        await propagatingErrors(pool.knex, async () => {
          await this.#ensureDatabase(pool, database);
          await ensureSchema(pool.knex, database.ensureSchema);
        });
      } catch (error) {
        throw explainConnectFault(error, pool.target);
      }
    };
    return attempts.run(
      `preparation of database ${pool.target.database}`,
      database.connectTimeoutMs,
      signal => {
        // A statement without an answer has no bound of its own.
        signal.addEventListener('abort', () => cutOff(pool.sockets));
        return retry(prepare, { clock, signal });
      },
    );
  }

  /** Tries the database first: only a missing one takes rights to create. */
  async #ensureDatabase(pool: Pool, database: PluginDatabase): Promise<void> {
    try {
      await openFirst(pool.knex);
    } catch (error) {
      const missing =
        error instanceof LakebaseError && error.code === 'database-missing';
      if (!missing || !database.ensureDatabase) throw error;
      await this.#createDatabase(database);
      await openFirst(pool.knex);
    }
  }

  async #createDatabase(database: PluginDatabase): Promise<void> {
    const { knex, target } = await this.#adminPool(database);
    const name = escapeIdentifier(database.connection.database);
    try {
      await knex.raw(`CREATE DATABASE ${name}`);
    } catch (error) {
      if (!isAlreadyThere(error)) throw explainConnectFault(error, target);
    }
  }

  /** Connects where the plugin's database will be, as its future owner. */
  #adminPool(database: PluginDatabase): Promise<Pool> {
    const { connection, role } = database;
    const { host, port, user } = connection;
    const key = JSON.stringify([host, port, user, role]);
    return remember(this.#admins, key, () =>
      this.#openPool(
        toAdminDatabase(database, this.#options.settings),
        'creation of databases',
      ),
    );
  }
}

async function ensureSchema(
  knex: Knex,
  schema: string | undefined,
): Promise<void> {
  if (!schema) return;
  const found = await knex<{ nspname: string }>('pg_catalog.pg_namespace')
    .where('nspname', schema)
    .first('nspname');
  if (found) return;
  try {
    // The role of the connection becomes the owner.
    await knex.raw(`CREATE SCHEMA ${escapeIdentifier(schema)}`);
  } catch (error) {
    if (!isAlreadyThere(error)) throw error;
  }
}

const isAlreadyThere = (error: unknown) =>
  ALREADY_THERE.includes((error as { code?: string }).code ?? '');
