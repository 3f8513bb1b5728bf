import { once } from 'node:events';
import {
  type AddressInfo,
  connect,
  createServer,
  type Server,
  type Socket,
} from 'node:net';
import { Transform } from 'node:stream';
import type { PostgresServer } from '../../emulator';
import { splitMessages } from '../../emulator/gateway/wire';

/** Something that a client had to wait for: one round trip. */
export interface Exchange {
  user: string;
  application: string;
  /** Absent for a login. */
  sql?: string;
}

const SYNC = 'S';
const QUERY = 'Q';
const PARSE = 'P';
const READY_FOR_QUERY = 'Z';

/**
 * Stands between the gateway and Postgres, where nothing is encrypted, and
 * notes each time that the server is ready for the next query: that is when a
 * client goes on that has waited for an answer. A login counts once, although
 * it takes several round trips to the gateway.
 */
export class CountingRelay {
  readonly exchanges: Exchange[] = [];
  /** What to take for the server. */
  readonly server: PostgresServer;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();

  readonly #latencyMs: number;

  /** @param latencyMs - how much later each answer comes than without it. */
  static async start(
    postgres: PostgresServer,
    latencyMs = 0,
  ): Promise<CountingRelay> {
    const listener = createServer();
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new CountingRelay(postgres, listener, latencyMs);
  }

  private constructor(
    postgres: PostgresServer,
    listener: Server,
    latencyMs: number,
  ) {
    this.#latencyMs = latencyMs;
    const { port } = listener.address() as AddressInfo;
    this.server = { ...postgres, host: '127.0.0.1', port };
    this.#listener = listener;
    listener.on('connection', socket => this.#relay(socket, postgres));
  }

  async stop(): Promise<void> {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#listener, 'close');
  }

  #relay(near: Socket, { host, port }: PostgresServer): void {
    const far = connect(port, host);
    const pair = [near, far];
    for (const socket of pair) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      // 'close' follows.
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        pair.forEach(each => each.destroy());
      });
    }
    const conversation = new Conversation(this.exchanges);
    near.on('data', (chunk: Buffer) => conversation.ask(chunk));
    far.on('data', (chunk: Buffer) => conversation.answer(chunk));
    near.pipe(far);
    (this.#latencyMs ? far.pipe(later(this.#latencyMs)) : far).pipe(near);
  }
}

/** Keeps the order, and lets what follows closely come as closely. */
const later = (ms: number) =>
  new Transform({
    transform(chunk: Buffer, _, done) {
      setTimeout(() => this.push(chunk), ms);
      done();
    },
    flush: done => void setTimeout(done, ms),
  });

/** One connection, read along in both directions. */
class Conversation {
  readonly #exchanges: Exchange[];
  #who?: { user: string; application: string };
  #asked: Buffer = Buffer.alloc(0);
  #answered: Buffer = Buffer.alloc(0);
  #parsed?: string;
  readonly #waiting: string[] = [];

  constructor(exchanges: Exchange[]) {
    this.#exchanges = exchanges;
  }

  ask(chunk: Buffer): void {
    this.#asked = Buffer.concat([this.#asked, chunk]);
    if (!this.#who && !this.#readStartup()) return;
    const { messages, rest } = splitMessages(this.#asked);
    this.#asked = rest;
    for (const { type, bytes } of messages) {
      if (type === QUERY) this.#waiting.push(stringAt(bytes, 5).text);
      if (type === PARSE) this.#parsed = statementOf(bytes);
      if (type === SYNC) this.#waiting.push(this.#parsed ?? 'prepared before');
    }
  }

  answer(chunk: Buffer): void {
    this.#answered = Buffer.concat([this.#answered, chunk]);
    const { messages, rest } = splitMessages(this.#answered);
    this.#answered = rest;
    for (const { type } of messages) {
      if (type !== READY_FOR_QUERY || !this.#who) continue;
      // Nothing was asked before the first of them.
      this.#exchanges.push({ ...this.#who, sql: this.#waiting.shift() });
    }
  }

  /** The first packet has no type byte. */
  #readStartup(): boolean {
    if (this.#asked.length < 4) return false;
    const length = this.#asked.readInt32BE(0);
    if (this.#asked.length < length) return false;
    const words = this.#asked.subarray(8, length).toString().split('\0');
    const valueOf = (name: string) => words[words.indexOf(name) + 1];
    this.#who = {
      user: valueOf('user'),
      application: words.includes('application_name')
        ? valueOf('application_name')
        : '',
    };
    this.#asked = this.#asked.subarray(length);
    return true;
  }
}

function stringAt(bytes: Buffer, start: number): { text: string; end: number } {
  const end = bytes.indexOf(0, start);
  return { text: bytes.subarray(start, end).toString(), end };
}

/** Of a Parse message: the name comes first. */
const statementOf = (bytes: Buffer) =>
  stringAt(bytes, stringAt(bytes, 5).end + 1).text;
