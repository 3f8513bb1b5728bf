import type { Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import type { PgConnection } from '../config/pluginDatabase';
import type { ConnectionBudget } from '../connections/connectionBudget';
import { type DirectTls, findingOut } from '../connections/directTls';
import {
  type ConnectionMaker,
  ConnectListener,
  openConnection,
  TokenSource,
} from '../connections/openConnection';
import { assumeRole, runAtOnce } from '../connections/session';
import { cutOff, dialTarget } from '../connections/sockets';
import {
  type ConnectionTarget,
  describeConnection,
} from '../connections/target';
import type { Targets } from '../connections/targets';
import type { Attempts, Purpose } from '../time/attempts';
import type { Clock } from '../time/clock';
import { GuestClient, requestCancel } from './guestClient';
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
  targets: Targets;
  attempts: Attempts;
  budget?: ConnectionBudget;
  directTls: DirectTls;
  /** Hear how its connections are opened. */
  listeners?: ConnectListener[];
  clock: Clock;
}

/** Opens sessions on the endpoint for the clients of the local proxy. */
export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #sockets = new Set<Socket>();

  constructor(options: UpstreamOptions) {
    this.#options = options;
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
    const { budget } = this.#options;
    const target = await this.#complete(parameters.get('database'));
    const startup = new Map(parameters)
      .set('user', target.user)
      .set('database', target.database);

    return this.#run(describeConnection(target), async stop => {
      const signal = AbortSignal.any([stop, clientGone]);
      const release = await budget?.acquire(LOCAL_PROXY, signal);
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

  #logIn(
    target: ConnectionTarget,
    startup: StartupParameters,
    signal: AbortSignal,
  ): Promise<GuestClient> {
    const { settings, createSocket } = this.#dial(target);
    const maker: ConnectionMaker<GuestClient> = {
      create: (token, socket, way) =>
        new GuestClient({
          ...settings,
          startup,
          password: token,
          stream: () => socket,
          ...way,
        }),
      // What else it is used for is up to the client at the other end.
      prepare: client => runAtOnce(client, assumeRole(target.role)),
    };
    return openConnection(maker, {
      ...this.#options,
      directTls: findingOut(settings, this.#options.directTls),
      target,
      createSocket,
      signal,
    });
  }

  async cancel(key: Buffer): Promise<void> {
    const target = await this.#complete();
    const { settings, createSocket } = this.#dial(target);
    await this.#run('cancel request', signal =>
      requestCancel({ ...settings, stream: createSocket }, key, signal),
    );
  }

  /** Ends logins under way, and waits for the end of the sessions. */
  async close(): Promise<void> {
    await this.#options.attempts.stop();
    const ends = [...this.#sockets].map(
      socket => new Promise(resolve => socket.once('close', resolve)),
    );
    await Promise.all(ends);
  }

  cutOff(): void {
    cutOff(this.#sockets);
  }

  #run<T>(purpose: Purpose, operation: (signal: AbortSignal) => Promise<T>) {
    const { attempts, connectTimeoutMs } = this.#options;
    return attempts.run(purpose, connectTimeoutMs, operation);
  }

  #complete(asked = STOCK_ADMIN_DATABASE): Promise<ConnectionTarget> {
    const { connection, role, targets } = this.#options;
    const database =
      asked === STOCK_ADMIN_DATABASE ? connection.database : asked;
    return targets.complete({ ...connection, database }, role);
  }

  #dial(target: ConnectionTarget) {
    const { user, database } = target;
    const { connection } = this.#options;
    const settings = { ...connection, user, database } as ClientConfig;
    const createTracked = dialTarget(settings, target, this.#sockets);
    // Whether the process goes on is for the client at the other end to say.
    const createSocket = () => createTracked().unref();
    return { settings, createSocket };
  }
}
