import { createServer, type Server, type Socket } from 'node:net';
import { LoggerService } from '@backstage/backend-plugin-api';
import type { SocketAddress } from '../config/localProxySettings';
import { withPatience } from '../time/shutdown';
import { ClientSession } from './clientSession';
import { listenPrivately, socketPath } from './socketFile';
import { Upstream, UpstreamOptions } from './upstream';

export interface LocalProxyOptions extends UpstreamOptions {
  socket: SocketAddress;
  logger: LoggerService;
}

/**
 * A Postgres server for this user's processes on this machine, by which plugins
 * that build database clients of their own get sessions on the endpoint. It
 * asks for no password: who may open its socket could also read the secrets
 * that credentials are minted with.
 */
export class LocalProxy {
  readonly #options: LocalProxyOptions;
  readonly #server: Server;
  readonly #upstream: Upstream;
  readonly #sessions = new Set<ClientSession>();

  constructor(options: LocalProxyOptions) {
    this.#options = options;
    this.#upstream = new Upstream(options);
    this.#server = createServer(socket => this.#accept(socket));
    this.#server.unref();
  }

  /**
   * Resolves when clients may come.
   *
   * @throws ConfigurationError
   */
  async listen(): Promise<void> {
    const { socket, logger } = this.#options;
    await listenPrivately(this.#server, socket);
    this.#server.on('error', error =>
      logger.warn(
        `The local proxy to Lakebase lost a client: ${error.message}`,
      ),
    );
    logger.info(
      'Plugins that connect to the database by themselves are served at ' +
        socketPath(socket),
    );
  }

  /** Ends every session: queries in flight get a while to finish. */
  async close(): Promise<void> {
    const over = new Promise(resolve => this.#server.close(resolve));
    this.#sessions.forEach(session => session.finish());
    const closed = Promise.all([over, this.#upstream.close()]);
    await withPatience(closed, this.#options.clock);
    this.#sessions.forEach(session => session.cutOff());
    this.#upstream.cutOff();
  }

  #accept(client: Socket): void {
    const session = new ClientSession({
      client,
      upstream: this.#upstream,
      patienceMs: this.#options.connectTimeoutMs,
      clock: this.#options.clock,
      knowsKey: key => [...this.#sessions].some(other => other.isKnownBy(key)),
    });
    this.#sessions.add(session);
    client.once('close', () => this.#sessions.delete(session));
    // Not awaited: it never fails, and ends with its socket.
    void session.serve();
  }
}
