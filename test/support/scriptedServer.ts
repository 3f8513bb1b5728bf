import { EventEmitter, once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface ReceivedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Says what it likes; an answer without an end leaves the caller waiting. */
export type Answer = (
  response: ServerResponse,
  request: ReceivedRequest,
) => void;

export const json =
  (body: unknown, status = 200): Answer =>
  response => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };

export const withoutDate =
  (answer: Answer): Answer =>
  (response, request) => {
    response.sendDate = false;
    answer(response, request);
  };

export const ACCESS_TOKEN = 'eyJ-access-token-of-the-scripted-server';

/**
 * A workspace for what the emulator does not say or see: it answers byte by
 * byte if need be, and keeps whatever it was sent.
 */
export class ScriptedServer {
  /** The OAuth token URL. */
  token: Answer = json({ access_token: ACCESS_TOKEN, expires_in: 3600 });
  /** Everything else. */
  api: Answer;
  readonly requests: ReceivedRequest[] = [];
  connections = 0;
  readonly #open = new Set<ServerResponse>();
  readonly #events = new EventEmitter();
  readonly #server = createServer((request, response) => {
    this.#open.add(response);
    response.once('close', () => {
      this.#open.delete(response);
      this.#events.emit('close');
    });
    void text(request).then(
      body => {
        const received: ReceivedRequest = {
          method: request.method!,
          path: request.url!,
          headers: request.headers,
          body,
        };
        this.requests.push(received);
        const isToken = received.path === '/oidc/v1/token';
        (isToken ? this.token : this.api)(response, received);
      },
      // The caller went away within its request.
      () => response.destroy(),
    );
  });

  static async start(
    api: Answer = json({ token: 'unexpected' }, 500),
  ): Promise<ScriptedServer> {
    const server = new ScriptedServer(api);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  private constructor(api: Answer) {
    this.api = api;
    this.#server.on('connection', () => (this.connections += 1));
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  /**
   * Resolves when nobody waits for an answer: all are given, or their sockets
   * closed. (Node 20 and 22 then open another one, idle, to be ready again.)
   */
  async idle(): Promise<void> {
    while (this.#open.size > 0) await once(this.#events, 'close');
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
