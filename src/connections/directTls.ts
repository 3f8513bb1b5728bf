import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Client, ClientConfig } from 'pg';
import { CERTIFICATE_FAULT } from '../errors';
import type { Clock } from '../time/clock';
import { whileListening } from '../time/whileListening';
import { getWire } from './pgWire';
import { type Place, TriedEndpoints, type Try } from './triedEndpoints';

/** A server that waits for the usual request says nothing, for ever. */
const SILENCE_MS = 1_000;

/** What TLS must agree on, or somebody else than a Postgres has answered. */
const POSTGRES_PROTOCOL = 'postgresql';

/**
 * Finds out which endpoints take TLS at once, without the request for it that
 * costs a round trip: Postgres 17 does, of gateways before it nothing is known.
 */
export class DirectTls {
  readonly #clock: Clock;
  readonly #endpoints: TriedEndpoints;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#endpoints = new TriedEndpoints(clock);
  }

  /** Undefined for a connection that takes the usual way. */
  begin(place: Place): DirectTlsTrial | undefined {
    const attempt = this.#endpoints.begin(place);
    return attempt && new DirectTlsTrial(this.#clock, attempt);
  }
}

/** What is configured needs no finding out, and without TLS there is nothing. */
export const findingOut = (
  { ssl, sslnegotiation }: ClientConfig,
  directTls: DirectTls,
): DirectTls | undefined => (ssl && !sslnegotiation ? directTls : undefined);

/** One connection that tries. */
export class DirectTlsTrial {
  readonly #clock: Clock;
  readonly #try: Try;
  #connected = false;
  #taken = false;
  #cancel = () => {};

  constructor(clock: Clock, attempt: Try) {
    this.#clock = clock;
    this.#try = attempt;
  }

  /** Follows how far the connection comes. */
  watch(connection: Client, socket: Socket): void {
    const wire = getWire(connection);
    if (wire.sslNegotiation !== 'direct') {
      // This pg does not know how.
      this.#try.report('refused');
      return;
    }
    const giveUp = () => socket.destroy();
    socket.once('connect', () => this.connected(giveUp));
    wire.once('sslconnect', () => {
      const secure = wire.stream as TLSSocket;
      secure.once('secureConnect', () => {
        if (secure.alpnProtocol === POSTGRES_PROTOCOL) this.#stands();
        else giveUp();
      });
    });
  }

  /** The server has taken the connection; `giveUp` ends it after a silence. */
  connected(giveUp: () => void): void {
    this.#connected = true;
    this.#cancel = whileListening(this.#clock, SILENCE_MS, giveUp);
  }

  /** @returns whether the usual way may lead further than this one did. */
  failed(error: unknown): boolean {
    this.#cancel();
    if (this.#taken) return false;
    // Whoever shows a certificate has taken it.
    const { code } = error as NodeJS.ErrnoException;
    const refused = this.#connected && !CERTIFICATE_FAULT.test(code ?? '');
    this.#try.report(refused ? 'refused' : 'unknown');
    return refused;
  }

  #stands(): void {
    this.#taken = true;
    this.#cancel();
    this.#try.report('taken');
  }
}
