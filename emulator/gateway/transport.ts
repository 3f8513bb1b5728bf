import { once } from 'node:events';
import type { Socket } from 'node:net';
import { TLSSocket, type TLSSocketOptions } from 'node:tls';
import { secureContext, type TlsMode } from '../certificates';
import { Refusal } from './refusal';
import {
  ConnectionLost,
  peekByte,
  readStartupPacket,
  REQUEST,
  type StartupPacket,
} from './wire';

/**
 * What a client meets that begins TLS at once: it is taken, with the name of
 * the protocol or without it, or it is not, in all ways that are known.
 */
export type DirectTlsMode =
  'taken' | 'withoutAlpn' | 'closed' | 'reset' | 'silent' | 'answered';

/** What both sides call what they speak within TLS, as it goes over the wire. */
const POSTGRES_PROTOCOL = Buffer.from('\x0apostgresql');

/** How TLS begins. */
const TLS_HANDSHAKE = 0x16;

/** What the transport needs of the endpoint that it leads to. */
export interface TransportHost {
  readonly tls: TlsMode;
  readonly directTls: DirectTlsMode;
  emit(event: 'directTls'): boolean;
}

/** A client's connection up to its startup packet: plain, or over TLS. */
export class Transport {
  /** What is spoken over; TLS replaces it. */
  socket: Socket;
  readonly #raw: Socket;
  readonly #host: TransportHost;

  constructor(raw: Socket, host: TransportHost) {
    this.socket = raw;
    this.#raw = raw;
    this.#host = host;
  }

  get isSecure(): boolean {
    return this.socket instanceof TLSSocket;
  }

  /** What the client calls the gateway, as far as it told. */
  get serverName(): string | undefined {
    // The types know servername on the client's side only.
    const { servername } = this.socket as { servername?: string | false };
    return servername || undefined;
  }

  /** The startup packet, or a request to cancel. */
  async startup(): Promise<StartupPacket> {
    if ((await peekByte(this.#raw)) === TLS_HANDSHAKE) {
      await this.#answerDirectTls();
    }
    for (;;) {
      const packet = await readStartupPacket(this.socket);
      switch (packet.code) {
        case REQUEST.ssl:
          await this.#answerSslRequest();
          break;
        case REQUEST.gss:
          this.socket.write('N');
          break;
        default:
          return packet;
      }
    }
  }

  async #answerDirectTls(): Promise<void> {
    const { directTls, tls } = this.#host;
    this.#host.emit('directTls');
    switch (tls === 'off' ? 'closed' : directTls) {
      case 'taken':
      case 'withoutAlpn':
        return this.#beginTls(tls, directTls === 'taken');
      case 'silent':
        // It would not notice the end of what it does not read.
        await once(this.#raw.resume(), 'close');
        break;
      case 'reset':
        this.#raw.resetAndDestroy();
        break;
      case 'answered':
        throw new Refusal('plaintext');
      case 'closed':
    }
    throw new ConnectionLost();
  }

  async #answerSslRequest(): Promise<void> {
    const mode = this.#host.tls;
    if (mode === 'off') {
      this.#raw.write('N');
      return;
    }
    const context = await secureContext(mode);
    this.#raw.write('S');
    this.#wrap({ secureContext: context });
  }

  async #beginTls(mode: TlsMode, named: boolean): Promise<void> {
    this.#wrap({
      secureContext: await secureContext(mode),
      ...(named && { ALPNProtocols: POSTGRES_PROTOCOL }),
    });
  }

  #wrap(options: TLSSocketOptions): void {
    this.socket = new TLSSocket(this.#raw, { ...options, isServer: true });
    this.socket.on('error', () => this.#raw.destroy());
  }
}
