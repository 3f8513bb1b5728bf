import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { Client, type ClientConfig } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import type { PluginDatabase } from '../config/pluginDatabase';
import type { EndpointSettings, Settings } from '../config/readConfig';
import { ConnectionLog } from '../connections/connectionLog';
import { openConnection } from '../connections/openConnection';
import { assumeRole, runAtOnce } from '../connections/session';
import { explainConnectFault } from '../connections/postgresFaults';
import { remember } from '../connections/remember';
import { boundGoodbye, cutOff, dialTarget } from '../connections/sockets';
import {
  type ConnectionTarget,
  describeConnection,
} from '../connections/target';
import { Targets } from '../connections/targets';
import type { Location } from '../databricks/endpoint';
import { explainRefreshFault } from '../databricks/credentialFaults';
import { Workspace } from '../databricks/workspace';
import { ConfigurationError } from '../errors';
import { Attempts } from '../time/attempts';
import type { Clock } from '../time/clock';
import { retry } from '../time/retry';
import { type Credential, TokenRefresher } from '../tokenRefresher';

/** A database to which one connection is open. */
export interface OpenDatabase {
  target: ConnectionTarget;
  /** @throws LakebaseError */
  rows<T extends object>(sql: string, values?: unknown[]): Promise<T[]>;
  /**
   * @returns how many rows a statement has changed.
   * @throws LakebaseError
   */
  change(sql: string): Promise<number>;
  /** Of `COPY … TO STDOUT`. */
  copyOut(sql: string): Readable;
  /** For `COPY … FROM STDIN`. */
  copyIn(sql: string): Writable;
}

export interface DatabaseAccessOptions {
  /** The plugin asked for. */
  pluginId?: string;
  /** Hears what is waited for. */
  progress?: (line: string) => void;
}

/**
 * Names mean those of Postgres, whatever others have created in the database,
 * and nothing that is called can change anything.
 */
const ONLY_LOOKING =
  'SET search_path = pg_catalog, pg_temp; ' +
  'SET default_transaction_read_only = on';

/** A name for what any plugin gets that is not mentioned by name. */
const ANY_PLUGIN = 'any';

/** One endpoint, as the backend reaches it: same identity, same logins. */
export class DatabaseAccess {
  readonly settings: Settings;
  readonly endpoint: EndpointSettings;
  readonly clock: Clock;
  /** The database of the plugin asked for, else of one like the others. */
  readonly plugin: PluginDatabase;
  readonly #workspace: Workspace;
  readonly #tokens: TokenRefresher;
  readonly #targets: Targets;
  readonly #attempts: Attempts;
  readonly #log: ConnectionLog;
  readonly #clients: Client[] = [];
  readonly #databases = new Map<string, Promise<OpenDatabase>>();
  readonly #sockets = new Set<Socket>();
  #credential?: Credential;
  #location?: Promise<Location>;

  /** @throws ConfigurationError that names the key and the remedy. */
  constructor(
    settings: Settings,
    endpoint: EndpointSettings,
    clock: Clock,
    options: DatabaseAccessOptions = {},
  ) {
    const { base, plugins, clientId, connectTimeoutMs } = endpoint;
    checkIsOurs(endpoint);
    this.settings = settings;
    this.endpoint = endpoint;
    this.clock = clock;
    const { pluginId, progress = () => {} } = options;
    this.#log = new ConnectionLog(
      { warn: progress, info: progress },
      connectTimeoutMs,
    );
    const id = pluginId ?? (base ? ANY_PLUGIN : plugins[0]);
    this.plugin = settings.forPlugin(id)!.database;
    this.#attempts = new Attempts(clock);
    const workspace = new Workspace({ settings: endpoint, clock });
    this.#workspace = workspace;
    this.#tokens = new TokenRefresher({
      mint: async signal => {
        this.#credential = await workspace.mintCredential(signal);
        return this.#credential;
      },
      explain: explainRefreshFault,
      clock,
    });
    this.#targets = new Targets({
      findHost: async () => (await this.locate()).host,
      clientId,
      findUser: signal => workspace.findUser(signal),
      connectTimeoutMs,
      attempts: this.#attempts,
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

  /** The id of the workspace, once it has answered. */
  get workspaceId(): string | undefined {
    return this.#workspace.id;
  }

  /**
   * The login name of the identity that mints.
   *
   * @throws LakebaseError
   */
  async identity(): Promise<string> {
    return this.endpoint.clientId ?? this.#targets.user();
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

  /**
   * Where a plugin's connections go.
   *
   * @throws LakebaseError
   */
  target(database = this.plugin): Promise<ConnectionTarget> {
    return this.#targets.complete(database.connection, database.role);
  }

  /**
   * Logs in to `name` with the settings of a plugin's database; once for each
   * login and role.
   *
   * @throws LakebaseError
   */
  async open(name: string, database = this.plugin): Promise<OpenDatabase> {
    const { connection, role } = database;
    const target = await this.#targets.complete(
      { ...connection, database: name },
      role,
    );
    const key = JSON.stringify(target);
    return remember(this.#databases, key, () => this.#open(target, database));
  }

  async #open(
    target: ConnectionTarget,
    { connection }: PluginDatabase,
  ): Promise<OpenDatabase> {
    const { user, database } = target;
    const settings = {
      ...connection,
      user,
      database,
      application_name: 'backstage-lakebase',
    } as ClientConfig;
    const createSocket = dialTarget(settings, target, this.#sockets);
    const { connectTimeoutMs } = this.endpoint;
    const client = await this.#attempts.run(
      describeConnection(target),
      connectTimeoutMs,
      signal =>
        openConnection(
          {
            create: (password, socket, way) =>
              new Client({
                ...settings,
                password,
                stream: () => socket,
                ...way,
              }),
            prepare: opened =>
              runAtOnce(opened, [ONLY_LOOKING, ...assumeRole(target.role)]),
          },
          {
            tokens: this.#tokens,
            target,
            createSocket,
            signal,
            connectTimeoutMs,
            listeners: [this.#log],
            clock: this.clock,
          },
        ),
    );
    this.#clients.push(client);
    const query = async (sql: string, values: unknown[] = []) => {
      try {
        return await client.query<never>(sql, values);
      } catch (error) {
        throw explainConnectFault(error, target);
      }
    };
    return {
      target,
      rows: async (sql, values) => (await query(sql, values)).rows,
      change: async sql => (await query(sql)).rowCount ?? 0,
      copyOut: sql => client.query(copyTo(sql)),
      copyIn: sql => client.query(copyFrom(sql)),
    };
  }

  async close(): Promise<void> {
    this.#tokens.stop();
    this.#workspace.stop();
    await this.#attempts.stop();
    await Promise.allSettled(
      this.#clients.map(client => {
        boundGoodbye(client, this.clock);
        return client.end();
      }),
    );
    cutOff(this.#sockets);
  }

  #run<T>(
    purpose: string,
    operation: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#attempts.run(purpose, this.endpoint.connectTimeoutMs, signal =>
      retry(() => operation(signal), { clock: this.clock, signal }),
    );
  }
}

/** @throws ConfigurationError where the identity is code of the backend. */
export function checkIsOurs({ readWorkspace }: EndpointSettings): void {
  const { method, identityKeys } = readWorkspace();
  if (method !== 'external') return;
  throw new ConfigurationError(
    `${identityKeys} is 'external': the tokens come from code of the backend, ` +
      'which this command does not run',
    'Give it another identity of the same workspace, in one more file for ' +
      '--config',
  );
}
