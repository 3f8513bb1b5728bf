import type { Socket } from 'node:net';
import { LoggerService } from '@backstage/backend-plugin-api';
import { Config } from '@backstage/config';
import { InputError } from '@backstage/errors';
import type { Knex } from 'knex';
import { Attempts } from '../time/attempts';
import { DATABASE_KEY, LakebaseConfig } from '../config/config';
import type { Location } from '../databricks/endpoint';
import type { Workspace } from '../databricks/workspace';
import { type EndpointUse, workspaceOf } from '../config/endpoints';
import { closeKnexClient, createKnexClient } from '../connections/knexClient';
import {
  adminDatabaseOf,
  isSchemaMode,
  PluginDatabase,
  readPluginDatabase,
} from '../config/pluginDatabase';
import { connectFault, ConnectionTarget } from '../connections/postgresFaults';
import type { Clock } from '../time/clock';
import { retry } from '../time/retry';
import { Credential, TokenRefresher } from '../tokenRefresher';

/** One connection to one database. */
export interface Session {
  target: ConnectionTarget;
  /** @throws LakebaseError */
  rows<T extends object>(sql: string, bindings?: unknown[]): Promise<T[]>;
}

/** A name for what any plugin gets that is not mentioned by name. */
const ANY_PLUGIN = 'any';

const QUIET: LoggerService = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  child: () => QUIET,
};

/** One endpoint, as the backend reaches it: same identity, same logins. */
export class EndpointAccess {
  readonly use: EndpointUse;
  readonly clock: Clock;
  readonly schemaMode: boolean;
  /** The database of the plugin asked for, else of one like the others. */
  readonly plugin: PluginDatabase;
  readonly #workspace: Workspace;
  readonly #tokens: TokenRefresher;
  readonly #attempts: Attempts;
  readonly #opened: Knex[] = [];
  readonly #sessions = new Map<string, Session>();
  readonly #sockets = new Set<Socket>();
  #credential?: Credential;
  #location?: Promise<Location>;
  #identity?: Promise<string>;

  /** @throws InputError that names the key and the remedy. */
  constructor(
    rootConfig: Config,
    use: EndpointUse,
    clock: Clock,
    pluginId?: string,
  ) {
    const { config, base, plugins } = use;
    checkIsOurs(config);
    this.use = use;
    this.clock = clock;
    this.#attempts = new Attempts(clock);
    this.schemaMode = isSchemaMode(rootConfig.getConfig(DATABASE_KEY));
    this.plugin = readPluginDatabase(
      rootConfig,
      config,
      pluginId ?? (base ? ANY_PLUGIN : plugins[0]),
    );
    this.#workspace = workspaceOf(config, { clock });
    this.#tokens = new TokenRefresher({
      mint: async signal => {
        this.#credential = await this.#workspace.mintCredential(signal);
        return this.#credential;
      },
      clock,
    });
  }

  /**
   * Looks it up once: what failed for one check fails for the others, too.
   *
   * @throws LakebaseError
   */
  locate(): Promise<Location> {
    this.#location ??= this.#run('endpoint look-up', signal =>
      this.#workspace.locate(signal),
    );
    return this.#location;
  }

  /**
   * The login name of the identity that mints.
   *
   * @throws LakebaseError
   */
  identity(): Promise<string> {
    this.#identity ??= this.#run(
      'login name look-up',
      async signal =>
        this.use.config.readWorkspace().clientId ??
        this.#workspace.findUser(signal),
    );
    return this.#identity;
  }

  /**
   * The credential that logs in to all databases of this endpoint.
   *
   * @throws LakebaseError
   */
  async credential(): Promise<Credential> {
    await this.#run('credential', signal => this.#tokens.token(signal));
    return this.#credential!;
  }

  /** The plugin's own settings, with host and user completed. */
  async target(database = this.plugin): Promise<ConnectionTarget> {
    const { host, port, user } = database.connection;
    return {
      host: host ?? (await this.locate()).host,
      port,
      user: user ?? (await this.identity()),
      database: database.connection.database,
      role: database.role,
    };
  }

  /**
   * Logs in to `name` with the settings of a plugin's database; once for each
   * login and role.
   *
   * @throws LakebaseError
   */
  async open(name: string, database = this.plugin): Promise<Session> {
    const target = { ...(await this.target(database)), database: name };
    const key = JSON.stringify(target);
    const session =
      this.#sessions.get(key) ?? (await this.#open(target, database));
    this.#sessions.set(key, session);
    return session;
  }

  async #open(
    target: ConnectionTarget,
    database: PluginDatabase,
  ): Promise<Session> {
    const { config } = this.use;
    const { host, user } = target;
    const { knexConfig, connection } = adminDatabaseOf(database, config);
    const knex = createKnexClient({
      config: {
        ...knexConfig,
        connection: { ...connection, host, user, database: target.database },
      },
      target,
      tokens: this.#tokens,
      connectTimeoutMs: config.connectTimeoutMs,
      maxConnectionAgeMs: config.maxConnectionAgeMs,
      logger: QUIET,
      attempts: this.#attempts,
      sockets: this.#sockets,
      owner: 'doctor',
      clock: this.clock,
    });
    this.#opened.push(knex);
    const rows: Session['rows'] = async (sql, bindings = []) => {
      try {
        return (await knex.raw<{ rows: never[] }>(sql, bindings as never)).rows;
      } catch (error) {
        throw connectFault(error, target);
      }
    };
    await rows('SELECT 1');
    return { target, rows };
  }

  async close(): Promise<void> {
    this.#tokens.stop();
    this.#workspace.stop();
    await this.#attempts.stop();
    await Promise.allSettled(this.#opened.map(closeKnexClient));
    this.#sockets.forEach(socket => socket.destroy());
  }

  #run<T>(
    purpose: string,
    operation: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#attempts.run(
      purpose,
      this.use.config.connectTimeoutMs,
      signal => retry(() => operation(signal), { clock: this.clock, signal }),
    );
  }
}

function checkIsOurs({ readWorkspace }: LakebaseConfig): void {
  const { method, identityKeys } = readWorkspace();
  if (method !== 'external') return;
  throw new InputError(
    `${identityKeys} is 'external': the tokens come from code of the backend, ` +
      'which this command does not run. Give it another identity of the same ' +
      'workspace, in one more file for --config',
  );
}
