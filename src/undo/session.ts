import type { Readable, Writable } from 'node:stream';

/** A connection to one database: its statements run one after the other. */
export interface Session {
  rows: <Row extends object>(sql: string, values?: unknown[]) => Promise<Row[]>;
  /** @returns how many rows a statement has changed. */
  change: (sql: string) => Promise<number>;
  /** Of `COPY … TO STDOUT`. */
  copyOut: (sql: string) => Readable;
  /** For `COPY … FROM STDIN`. */
  copyIn: (sql: string) => Writable;
}
