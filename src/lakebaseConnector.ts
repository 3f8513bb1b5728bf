import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { LoggerService } from '@backstage/backend-plugin-api';
import { Config } from '@backstage/config';
import { Knex } from 'knex';
import { escapeIdentifier } from 'pg';
import { Attempts } from './time/attempts';
import type { Clock } from './time/clock';
import { LakebaseConfig } from './config/config';
import type { ConnectionBudget } from './connections/connectionBudget';
import { EndpointAddress } from './connections/endpointAddress';
import { LakebaseError } from './errors';
import {
  closeKnexClient,
  createKnexClient,
  openFirst,
  tellingCreateErrors,
} from './connections/knexClient';
import { ConnectListener, TokenSource } from './connections/openConnection';
import {
  PluginDatabase,
  adminDatabaseOf,
  readPluginDatabase,
} from './config/pluginDatabase';
import { connectFault, ConnectionTarget } from './connections/postgresFaults';
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
  rootConfig: Config;
  config: LakebaseConfig;
  tokens: TokenSource;
  /** Host name of the endpoint, for when the configuration has none. */
  findHost: (signal: AbortSignal) => Promise<string>;
  /** Login name, for when the configuration has neither it nor a client id. */
  findUser: (signal: AbortSignal) => Promise<string>;
  logger: LoggerService;
  budget?: ConnectionBudget;
  /** Hears how connections of the pool of this owner are opened. */
  connectsOf?: (owner: string) => ConnectListener;
  clock: Clock;
}

/** Gives each plugin a Knex whose database and schema exist. */
export class LakebaseConnector {
  readonly #options: LakebaseConnectorOptions;
  readonly #clients = new Map<string, Promise<Knex>>();
  readonly #pools = new Set<Pool>();
  readonly #attempts: Attempts;
  readonly #admins = new Map<string, Promise<Pool>>();
  /** Where connections go whose host the configuration leaves out. */
  readonly address: EndpointAddress;
  #user?: Promise<string>;

  constructor(options: LakebaseConnectorOptions) {
    this.#options = options;
    this.#attempts = new Attempts(options.clock);
    this.address = new EndpointAddress({
      find: () => this.#findHost(),
      findAgain: options.findHost,
      clock: options.clock,
    });
  }

  /**
   * The plugin's Knex, the same for every caller, after a first connection has
   * succeeded.
   *
   * @throws LakebaseError; the next call tries again.
   */
  getClient(pluginId: string): Promise<Knex> {
    const existing = this.#clients.get(pluginId);
    if (existing) return existing;

    const client = this.#createClient(pluginId).catch(error => {
      this.#clients.delete(pluginId);
      throw error;
    });
    this.#clients.set(pluginId, client);
    return client;
  }

  /** The pools of all plugins that have asked for one, and got it. */
  async clients(): Promise<Knex[]> {
    const settled = await Promise.allSettled(this.#clients.values());
    return settled.flatMap(client =>
      client.status === 'fulfilled' ? [client.value] : [],
    );
  }

  /** Closes every connection: those in use get a while to finish. */
  async close(): Promise<void> {
    await withPatience(this.#closePools(), this.#options.clock);
    this.#pools.forEach(cutOff);
  }

  async #closePools(): Promise<void> {
    await this.#attempts.stop();
    // Attempts that ended are first told to the callers who waited for them.
    await setImmediate();
    await Promise.allSettled(
      [...this.#pools].map(({ knex }) => closeKnexClient(knex)),
    );
  }

  /**
   * The login name of the identity: its client id, or else what the first
   * caller looks up.
   *
   * @throws LakebaseError; the next call tries again.
   */
  user(): Promise<string> {
    this.#user ??= this.#findUser().catch(error => {
      this.#user = undefined;
      throw error;
    });
    return this.#user;
  }

  async #findUser(): Promise<string> {
    const { config, findUser } = this.#options;
    const { clientId } = config.readWorkspace();
    return clientId ?? this.#lookUp('login name', findUser);
  }

  #findHost(): Promise<string> {
    return this.#lookUp('endpoint', this.#options.findHost);
  }

  #lookUp(
    what: string,
    find: (signal: AbortSignal) => Promise<string>,
  ): Promise<string> {
    const { config, tokens, clock } = this.#options;
    return this.#attempts.run(
      `${what} look-up`,
      config.connectTimeoutMs,
      async signal => {
        // A refused identity or endpoint is then told once, by the mint.
        await tokens.token(signal);
        return retry(() => find(signal), { clock, signal });
      },
    );
  }

  async #createClient(pluginId: string): Promise<Knex> {
    const { rootConfig, config } = this.#options;
    const database = readPluginDatabase(rootConfig, config, pluginId);
    let pool: Pool | undefined;
    try {
      pool = await this.#openPool(database, pluginId);
      await this.#prepare(pool, database);
      return pool.knex;
    } catch (error) {
      await this.#closePool(pool);
      throw new LakebaseError(
        error instanceof LakebaseError ? error.code : 'database-error',
        {
          message: `The database of plugin '${pluginId}' is not available`,
          cause: error,
        },
      );
    }
  }

  async #openPool(database: PluginDatabase, owner: string): Promise<Pool> {
    const { tokens, logger, config, budget, clock } = this.#options;
    const given = database.connection.host;
    const host = given ?? (await this.address.host());
    const user = database.connection.user ?? (await this.user());
    const target: ConnectionTarget = {
      host,
      port: database.connection.port,
      user,
      database: database.connection.database,
      role: database.role,
    };
    const sockets = new Set<Socket>();
    const knex = createKnexClient({
      config: {
        ...database.knexConfig,
        connection: { ...database.connection, host, user },
      },
      target,
      tokens,
      connectTimeoutMs: database.connectTimeoutMs,
      maxConnectionAgeMs: config.maxConnectionAgeMs,
      logger,
      attempts: this.#attempts,
      sockets,
      address: given === undefined ? this.address : undefined,
      owner,
      listener: this.#options.connectsOf?.(owner),
      budget,
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
    const { clock } = this.#options;
    const prepare = async () => {
      try {
        await tellingCreateErrors(pool.knex, async () => {
          await this.#ensureDatabase(pool, database);
          await ensureSchema(pool.knex, database.ensureSchema);
        });
      } catch (error) {
        throw connectFault(error, pool.target);
      }
    };
    return this.#attempts.run(
      `preparation of database ${pool.target.database}`,
      database.connectTimeoutMs,
      signal => {
        // A statement without an answer has no bound of its own.
        signal.addEventListener('abort', () => cutOff(pool));
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
      if (!isAlreadyThere(error)) throw connectFault(error, target);
    }
  }

  /** Where the plugin's database is to be, and as whom it is to be made. */
  #adminPool(database: PluginDatabase): Promise<Pool> {
    const { connection, role } = database;
    const { host, port, user } = connection;
    const key = JSON.stringify([host, port, user, role]);
    const existing = this.#admins.get(key);
    if (existing) return existing;

    const settings = adminDatabaseOf(database, this.#options.config);
    const admin = this.#openPool(settings, 'creation of databases').catch(
      error => {
        this.#admins.delete(key);
        throw error;
      },
    );
    this.#admins.set(key, admin);
    return admin;
  }
}

const cutOff = ({ sockets }: Pool) =>
  sockets.forEach(socket => socket.destroy());

async function ensureSchema(
  knex: Knex,
  schema: string | undefined,
): Promise<void> {
  if (!schema) return;
  const found = await knex<{ nspname: string }>('pg_namespace')
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
