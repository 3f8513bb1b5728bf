import type { ClientConfig } from 'pg';
import { CERTIFICATE_FAULT } from '../errors';
import { type Clock, elapsedMs, instant, type Instant } from '../time/clock';
import { whileListening } from '../time/whileListening';

/** How long an endpoint that did not take it is not asked again. */
const REFUSED_FOR_MS = 60 * 60_000;

/** A server that waits for the usual request says nothing, for ever. */
const SILENCE_MS = 1_000;

/** What TLS must agree on, or somebody else than a Postgres has answered. */
export const POSTGRES_PROTOCOL = 'postgresql';

interface Place {
  host: string;
  port: number;
}

type State = 'trying' | 'taken' | { refusedAt: Instant };

/**
 * Finds out which endpoints take TLS at once, without the request for it that
 * costs a round trip: Postgres 17 does, of gateways before it nothing is known.
 */
export class DirectTls {
  readonly #clock: Clock;
  readonly #states = new Map<string, State>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * A connection that may try; undefined for one that takes the usual way:
   * while the first one tries, and for an hour after it was refused.
   */
  begin({ host, port }: Place): Trial | undefined {
    const place = `${host}:${port}`;
    const state = this.#states.get(place);
    if (state === 'trying') return undefined;
    if (typeof state === 'object') {
      const { refusedAt } = state;
      if (elapsedMs(this.#clock, refusedAt) < REFUSED_FOR_MS) return undefined;
    }
    if (state !== 'taken') this.#states.set(place, 'trying');
    return new Trial(this.#clock, outcome => {
      if (outcome === 'taken') this.#states.set(place, 'taken');
      else if (outcome === 'refused') {
        this.#states.set(place, { refusedAt: instant(this.#clock) });
      } else if (this.#states.get(place) === 'trying') {
        this.#states.delete(place);
      }
    });
  }
}

/** What is configured needs no finding out, and without TLS there is nothing. */
export const findingOut = (
  { ssl, sslnegotiation }: ClientConfig,
  directTls: DirectTls,
): DirectTls | undefined => (ssl && !sslnegotiation ? directTls : undefined);

/** `unknown` where the server could not be reached at all. */
type Outcome = 'taken' | 'refused' | 'unknown';

/** One connection that tries. */
export class Trial {
  readonly #clock: Clock;
  readonly #report: (outcome: Outcome) => void;
  #connected = false;
  #taken = false;
  #cancel = () => {};

  constructor(clock: Clock, report: (outcome: Outcome) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  /** The server has taken the connection; `giveUp` ends it after a silence. */
  connected(giveUp: () => void): void {
    this.#connected = true;
    this.#cancel = whileListening(this.#clock, SILENCE_MS, giveUp);
  }

  /** TLS stands, for this protocol. */
  stands(): void {
    this.#taken = true;
    this.#cancel();
    this.#report('taken');
  }

  /** @returns whether the usual way may lead further than this one did. */
  failed(error: unknown): boolean {
    this.#cancel();
    if (this.#taken) return false;
    // Whoever shows a certificate has taken it.
    const { code } = error as NodeJS.ErrnoException;
    const refused = this.#connected && !CERTIFICATE_FAULT.test(code ?? '');
    this.#report(refused ? 'refused' : 'unknown');
    return refused;
  }

  /** This pg does not know how. */
  unsupported(): void {
    this.#report('refused');
  }
}
