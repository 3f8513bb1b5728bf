import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Client } from 'pg';
import { getWire } from './pgWire';

/** Of a message before the login stands; real ones take a few hundred. */
const MAX_MESSAGE_BYTES = 64 * 1024;

const HEADER_BYTES = 5;

/** What a server may ask for: nothing, a password, MD5, or SASL in its steps. */
const WAYS_TO_LOG_IN = [0, 3, 5, 10, 11, 12];

const fields = (body: Buffer) => body.toString('latin1').split('\0');

/** What a server says before the login stands, and whether it is well-formed. */
const MESSAGES: Record<string, (body: Buffer) => boolean> = {
  // Authentication; the names of SASL mechanisms end with an empty one.
  R: body =>
    body.length >= 4 &&
    WAYS_TO_LOG_IN.includes(body.readUInt32BE()) &&
    (body.readUInt32BE() !== 10 || fields(body).slice(-2).join('') === ''),
  // ParameterStatus: a name and a value.
  S: body => fields(body).length === 3 && body.at(-1) === 0,
  // BackendKeyData, which newer protocols let be longer.
  K: body => body.length >= 8,
  Z: body => body.length === 1,
  // ErrorResponse and NoticeResponse: texts, and an empty one.
  E: body => isClosed(body),
  N: body => isClosed(body),
};

/** pg would look for an end that is not there, for ever. */
const isClosed = (body: Buffer) =>
  body.length > 0 &&
  body.at(-1) === 0 &&
  (body.length === 1 || body.at(-2) === 0);

/**
 * Ends a connection whose server does not keep to the protocol while it logs
 * in: pg would end the process, loop, or keep what has no end in memory.
 */
export function guardLogin(connection: Client): void {
  const wire = getWire(connection);
  const attach = wire.attachListeners.bind(wire);
  wire.attachListeners = stream => {
    const checked = new EventEmitter() as Socket;
    const guard = new LoginGuard();
    stream.on('data', (chunk: Buffer) => {
      if (guard.done) {
        checked.emit('data', chunk);
        return;
      }
      try {
        guard.check(chunk);
        checked.emit('data', chunk);
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
    stream.on('end', () => checked.emit('end'));
    attach(checked);
  };
}

class LoginGuard {
  /** From here on bytes are passed on as they come. */
  done = false;
  #rest: Buffer = Buffer.alloc(0);

  /** @throws at the first message that no server sends. */
  check(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (!this.done && this.#rest.length >= HEADER_BYTES) {
      const kind = String.fromCharCode(this.#rest[0]);
      const bytes = this.#rest.readUInt32BE(1) + 1;
      const known = MESSAGES[kind] as (typeof MESSAGES)[string] | undefined;
      if (!known || bytes < HEADER_BYTES || bytes > MAX_MESSAGE_BYTES) {
        throw violation();
      }
      if (this.#rest.length < bytes) return;
      if (!known(this.#rest.subarray(HEADER_BYTES, bytes))) throw violation();
      this.#rest = this.#rest.subarray(bytes);
      this.done = kind === 'Z';
    }
  }
}

/** By the state of a protocol violation. */
const violation = () =>
  Object.assign(
    new Error('The server does not keep to the Postgres protocol'),
    { code: '08P01' },
  );
