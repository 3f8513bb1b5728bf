import type { Socket } from 'node:net';
import { LakebaseError } from '../errors';
import type { Clock } from '../time/clock';
import { Relay } from './relay';
import type { Upstream } from './upstream';
import {
  encodeFatalError,
  encodeGreeting,
  PACKET,
  parseParameters,
  ProtocolViolation,
  readPacket,
  StartupParameters,
} from './wire';

export interface ClientSessionOptions {
  client: Socket;
  upstream: Upstream;
  /** How long a client may take for its first words. */
  patienceMs: number;
  clock: Clock;
  /** Whether a session with this key is being served. */
  knowsKey: (cancelKey: Buffer) => boolean;
}

/** One client of the local proxy, from its first byte to its last. */
export class ClientSession {
  readonly #options: ClientSessionOptions;
  readonly #client: Socket;
  #cancelKey?: Buffer;
  #relay?: Relay;
  #loggingIn = false;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
    this.#client = options.client;
    // 'close' follows, and is handled.
    this.#client.on('error', () => {});
    this.#client.unref();
  }

  async serve(): Promise<void> {
    try {
      const parameters = await this.#readStartup();
      if (parameters) await this.#connect(parameters);
      else this.#client.destroySoon();
    } catch (error) {
      this.#refuse(error);
    }
  }

  isKnownBy(cancelKey: Buffer): boolean {
    return this.#cancelKey?.equals(cancelKey) ?? false;
  }

  /** Ends, once the query in flight is answered; a login ends with `upstream`. */
  finish(): void {
    if (this.#relay) this.#relay.finish();
    else if (!this.#loggingIn) this.cutOff();
  }

  cutOff(): void {
    this.#client.destroy();
  }

  /** What a client wants of its session; a cancel request wants none. */
  async #readStartup(): Promise<StartupParameters | undefined> {
    const { patienceMs, knowsKey, upstream, clock } = this.#options;
    const stopWaiting = clock.schedule(
      () => this.#client.destroy(),
      patienceMs,
    );
    try {
      for (;;) {
        const { code, body } = await readPacket(this.#client);
        switch (code) {
          case PACKET.ssl:
          case PACKET.gss:
            this.#client.write('N');
            break;
          case PACKET.cancel:
            if (knowsKey(body)) await upstream.cancel(body);
            return undefined;
          case PACKET.startup:
            return parseParameters(body);
          default:
            throw new ProtocolViolation('only protocol 3.0 is spoken here');
        }
      }
    } finally {
      stopWaiting();
    }
  }

  async #connect(parameters: StartupParameters): Promise<void> {
    this.#loggingIn = true;
    const guest = await this.#whileConnected(gone =>
      this.#options.upstream.open(parameters, gone),
    );
    const server = guest.leaveSocket();
    if (this.#client.destroyed) {
      server.destroy();
      return;
    }
    this.#cancelKey = guest.cancelKey;
    this.#client.write(encodeGreeting(guest.status, guest.cancelKey));
    this.#relay = new Relay(this.#client, server);
  }

  /** Until its login is answered, a client has nothing to say but farewell. */
  async #whileConnected<T>(
    operation: (gone: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const gone = new AbortController();
    const abort = () => gone.abort();
    const client = this.#client;
    client.on('data', abort).on('end', abort).on('close', abort).resume();
    try {
      return await operation(gone.signal);
    } finally {
      client.off('data', abort).off('end', abort).off('close', abort).pause();
    }
  }

  #refuse(error: unknown): void {
    if (!this.#client.writable) return;
    const { message } = error as Error;
    this.#client.write(encodeFatalError(findSqlState(error), message));
    this.#client.destroySoon();
  }
}

/** The server's own, if it has spoken. */
function findSqlState(error: unknown): string {
  if (error instanceof ProtocolViolation) return '08P01';
  for (let link = error; link instanceof Error; link = link.cause) {
    const { code, severity } = link as Error & Record<string, unknown>;
    if (severity && typeof code === 'string') return code;
  }
  const stopped = error instanceof LakebaseError && error.code === 'stopped';
  return stopped ? '57P03' : '08006';
}
