import type { Knex } from 'knex';
import type { Client, QueryResult } from 'pg';
import { getPgClient } from '../connections/knexInternals';
import type { WorkTime } from './workTime';

/** A lock on a table. */
export interface HeldLock {
  table: string;
  mode: string;
  /** From its statement's begin to the end of the transaction. */
  heldMs: number;
  /** Seen now and then, since it ended with its statement. */
  sampled: boolean;
}

export interface LoggedStatement {
  sql: string;
  ms: number;
  locks: HeldLock[];
  inTransaction: boolean;
}

type Callback = (error: Error | null, result?: QueryResult) => void;

type QueryWithCallback = (
  query: string | { text: string },
  callback?: Callback,
) => unknown;

/** Not yet in the types of pg. */
interface Wire {
  connection: {
    prependListener(
      event: 'readyForQuery',
      listener: (message: { status: string }) => void,
    ): void;
  };
  processID: number;
}

export const LOCKS_OF = (process: string) => `
  SELECT DISTINCT c.relname AS table, l.mode
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_class c ON c.oid = l.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE l.pid ${process} AND l.granted AND c.relkind IN ('r', 'p')
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND c.relname NOT LIKE '%knex\\_migrations%'`;

interface LockRow {
  table: string;
  mode: string;
}

interface OpenLock {
  lock: HeldLock;
  since: number;
}

/**
 * Follows the statements of a Knex, and which locks they take. Within a
 * transaction it asks after each statement on the very connection.
 */
export class StatementLog {
  readonly #time: WorkTime;
  readonly #connections = new Set<Client & Wire>();
  /** Where statements go; those of nobody are not kept. */
  sink?: LoggedStatement[];

  constructor(knex: Knex, time: WorkTime) {
    this.#time = time;
    const client = getPgClient(knex);
    const acquire = client.acquireRawConnection.bind(client);
    client.acquireRawConnection = async () => {
      const connection = await acquire();
      this.#follow(connection as Client & Wire);
      return connection;
    };
    for (const { resource } of client.pool.free) {
      this.#follow(resource as Client & Wire);
    }
  }

  /** Those of the server. */
  get processes(): number[] {
    return [...this.#connections].map(({ processID }) => processID);
  }

  /** Lets the server count at once what they have changed. */
  async flushCounts(): Promise<void> {
    for (const connection of this.#connections) {
      await connection
        .query('SELECT pg_catalog.pg_stat_force_next_flush()')
        // It is new in Postgres 15, and the connection may be gone.
        .catch(() => {});
    }
  }

  #follow(connection: Client & Wire): void {
    this.#connections.add(connection);
    connection.once('end', () => this.#connections.delete(connection));
    let status = 'I';
    // Ahead of pg, which calls back from there.
    connection.connection.prependListener('readyForQuery', ready => {
      status = ready.status;
    });
    const held = new Map<string, OpenLock>();
    const send = connection.query.bind(connection) as QueryWithCallback;
    const query: QueryWithCallback = (given, callback) => {
      const { sink } = this;
      if (!callback || !sink) return send(given, callback);
      const sql = typeof given === 'string' ? given : given.text;
      const begin = this.#time.now();
      const inTransaction = status !== 'I';
      const statement = { sql, ms: 0, locks: [], inTransaction };
      if (!isBookkeeping(sql)) sink.push(statement);
      return send(given, (error, result) => {
        const now = this.#time.now();
        statement.ms = now - begin;
        if (status !== 'T') {
          held.forEach(({ lock, since }) => (lock.heldMs = now - since));
          held.clear();
          callback(error, result);
          return;
        }
        void this.#time
          .looking(
            () =>
              new Promise<void>(resolve => {
                send(LOCKS_OF('= pg_catalog.pg_backend_pid()'), (_, answer) => {
                  keepNew(
                    held,
                    (answer?.rows ?? []) as LockRow[],
                    statement,
                    begin,
                  );
                  resolve();
                });
              }),
          )
          .then(() => callback(error, result));
      });
    };
    connection.query = query as typeof connection.query;
  }
}

function keepNew(
  held: Map<string, OpenLock>,
  rows: LockRow[],
  { locks }: LoggedStatement,
  since: number,
): void {
  for (const { table, mode } of rows) {
    const key = `${table} ${mode}`;
    if (held.has(key)) continue;
    const lock = { table, mode, heldMs: 0, sampled: false };
    held.set(key, { lock, since });
    locks.push(lock);
  }
}

const isBookkeeping = (sql: string) =>
  /knex_migrations|^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b/i.test(sql);
