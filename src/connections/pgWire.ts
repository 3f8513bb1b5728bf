import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Client, DatabaseError } from 'pg';

/** pg's own view of the protocol, which its types leave out. */
export interface PgWire extends EventEmitter<WireEvents> {
  stream: Socket;
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
