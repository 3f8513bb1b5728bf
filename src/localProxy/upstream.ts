import type { Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import { Attempts } from '../time/attempts';
import type { Clock } from '../time/clock';
import type { ConnectionBudget } from '../connections/connectionBudget';
import type { EndpointAddress } from '../connections/endpointAddress';
import {
  ConnectListener,
  following,
  KnexPgClient,
  openConnection,
  TokenSource,
  trackSockets,
} from '../connections/openConnection';
import type { PgConnection } from '../config/pluginDatabase';
import type { ConnectionTarget } from '../connections/postgresFaults';
import { GuestClient, GuestSettings, requestCancel } from './guestClient';
import type { StartupParameters } from './wire';

/** Who holds its connections, for messages and metrics. */
export const LOCAL_PROXY = 'local proxy';

/** The database that Backstage's own connector creates others from. */
const STOCK_ADMIN_DATABASE = 'postgres';

export interface UpstreamOptions {
  /** Its database is the one to create others from. */
  connection: PgConnection;
  role?: string;
  connectTimeoutMs: number;
  tokens: TokenSource;
  /** Where the endpoint is, for when the configuration has no host. */
  address: EndpointAddress;
  budget?: ConnectionBudget;
  /** Hears how its connections are opened. */
  listener?: ConnectListener;
  /** Login name, for when the configuration has none. */
  defaultUser: () => string | Promise<string>;
  clock: Clock;
}

/** Opens sessions on the endpoint for the clients of the local proxy. */
export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #attempts: Attempts;
  readonly #sockets = new Set<Socket>();

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.#attempts = new Attempts(options.clock);
  }

  /**
   * Logs in with a live credential, and with what else the client asks for.
   *
   * @throws LakebaseError
   */
  async open(
    parameters: StartupParameters,
    clientGone: AbortSignal,
  ): Promise<GuestClient> {
    const target = await this.#target(parameters.get('database'));
    const { host, port, user, database } = target;
    const startup = new Map(parameters)
      .set('user', user)
      .set('database', database);

    return this.#run(`connection to ${host}:${port}`, async stop => {
      const signal = AbortSignal.any([stop, clientGone]);
      const release = await this.#options.budget?.acquire(LOCAL_PROXY, signal);
      try {
        const client = await this.#logIn(target, startup, signal);
        if (release) client.onceClosed(release);
        return client;
      } catch (error) {
        release?.();
        throw error;
      }
    });
  }

  async #logIn(
    target: ConnectionTarget,
    startup: StartupParameters,
    signal: AbortSignal,
  ): Promise<GuestClient> {
    const { tokens, connection, connectTimeoutMs, listener, clock } =
      this.#options;
    const address = connection.host ? undefined : this.#options.address;
    const { settings, createSocket } = this.#settings(target);
    const client = await openConnection(
      guest(Object.assign(settings, { startup })),
      {
        tokens,
        target,
        createSocket,
        relocate: address && following(address, settings, target),
        signal,
        connectTimeoutMs,
        listener,
        clock,
      },
    );
    return client as GuestClient;
  }

  async cancel(key: Buffer): Promise<void> {
    const target = await this.#target();
    const { settings, createSocket } = this.#settings(target);
    await this.#run('cancel request', signal =>
      requestCancel({ ...settings, stream: createSocket }, key, signal),
    );
  }

  /** Ends logins under way, and waits for the end of the sessions. */
  async close(): Promise<void> {
    await this.#attempts.stop();
    const ends = [...this.#sockets].map(
      socket => new Promise(resolve => socket.once('close', resolve)),
    );
    await Promise.all(ends);
  }

  cutOff(): void {
    this.#sockets.forEach(socket => socket.destroy());
  }

  #run<T>(purpose: string, operation: (signal: AbortSignal) => Promise<T>) {
    const { connectTimeoutMs } = this.#options;
    return this.#attempts.run(purpose, connectTimeoutMs, operation);
  }

  async #target(asked = STOCK_ADMIN_DATABASE): Promise<ConnectionTarget> {
    const { connection, role } = this.#options;
    const { database } = connection;
    return {
      host: connection.host ?? (await this.#options.address.host()),
      port: connection.port,
      user: connection.user ?? (await this.#options.defaultUser()),
      database: asked === STOCK_ADMIN_DATABASE ? database : asked,
      role,
    };
  }

  #settings(target: ConnectionTarget) {
    const { user, database } = target;
    const { connection } = this.#options;
    const settings = { ...connection, user, database } as ClientConfig;
    const createTracked = trackSockets(settings, target, this.#sockets);
    // Whether the process goes on is for the client at the other end to say.
    const createSocket = () => createTracked().unref();
    return { settings, createSocket };
  }
}

/** What `openConnection` expects of Knex; the rest is the client's concern. */
const guest = (settings: GuestSettings): KnexPgClient => ({
  driver: { Client: GuestClient },
  connectionSettings: settings,
  version: 'unasked',
  checkVersion: () => Promise.resolve(''),
  setSchemaSearchPath: () => Promise.resolve(),
});
