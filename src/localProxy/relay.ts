import type { Socket } from 'node:net';
import { encodeFatalError, READY_AND_IDLE, TERMINATE } from './wire';

/** Carries bytes between a client and its session, until either side ends. */
export class Relay {
  readonly #client: Socket;
  readonly #server: Socket;
  #idle = true;
  #finishing = false;

  constructor(client: Socket, server: Socket) {
    this.#client = client;
    this.#server = server;
    // 'close' follows, and is handled.
    server.on('error', () => {});
    client.on('close', () => server.destroySoon());
    server.on('close', () => client.destroySoon());
    client.pipe(server).pipe(client);
    client.on('data', () => (this.#idle = false));
    this.#watchForIdleness();
  }

  /** Ends the session once the server has answered all that it was asked. */
  finish(): void {
    this.#finishing = true;
    if (this.#idle) this.#end();
  }

  #watchForIdleness(): void {
    let lastWords: Buffer = Buffer.alloc(0);
    this.#server.on('data', (chunk: Buffer) => {
      // A message may come in two chunks.
      lastWords = Buffer.concat([
        lastWords,
        chunk.subarray(-READY_AND_IDLE.length),
      ]).subarray(-READY_AND_IDLE.length);
      this.#idle = lastWords.equals(READY_AND_IDLE);
      if (this.#idle && this.#finishing) this.#end();
    });
  }

  #end(): void {
    this.#server.unpipe(this.#client);
    this.#client.unpipe(this.#server);
    this.#client.write(encodeFatalError('57P01', 'Backstage is shutting down'));
    this.#client.destroySoon();
    this.#server.write(TERMINATE);
    this.#server.destroySoon();
  }
}
