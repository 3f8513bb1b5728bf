import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Client, DatabaseError } from 'pg';

/** pg's own view of the protocol, which its types leave out. */
export interface PgWire extends EventEmitter<WireEvents> {
  stream: Socket;
  /** Absent without TLS. */
  ssl?: unknown;
  /** Absent from versions that know one way only. */
  sslNegotiation?: 'direct' | 'postgres';
  connect(port: number, host: string): void;
  requestSsl(): void;
  startup(): void;
  /** Reads what the server says from a stream. */
  attachListeners(stream: Socket): void;
}

interface WireEvents {
  connect: [];
  sslconnect: [];
  parameterStatus: [{ parameterName: string; parameterValue: string }];
  backendKeyData: [{ processID: number; secretKey: number }];
  errorMessage: [DatabaseError];
  error: [Error];
  end: [];
}

export const getWire = (connection: Client) =>
  (connection as unknown as { connection: PgWire }).connection;

/** Calls back when the startup packet goes out, over TLS where it is to be. */
export function onceSecured(connection: Client, listener: () => void): void {
  const wire = getWire(connection);
  if (!wire.ssl) {
    wire.once('connect', listener);
    return;
  }
  wire.once('sslconnect', () => wire.stream.once('secureConnect', listener));
}
