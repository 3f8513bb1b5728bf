/**
 * What this package knows of the insides of Knex and its pool, tarn: all that
 * is not in their documentation is named here. Read in Knex 3.1.0, 3.2.0 and
 * 3.3.0 with tarn 3.0.2, which `npm run versions` tests.
 */
import type { Knex } from 'knex';
import type { Client, ClientConfig } from 'pg';

/** A connection that Knex made; queries name it by this id. */
export type PooledConnection = Client & { __knexUid: string };

/** tarn's pool. */
export interface TarnPool {
  /** Since when, by `Date.now()`, each of them has been idle. */
  free: { resource: Client; timestamp: number }[];
  used: { resource: Client }[];
  max: number;
  numFree(): number;
  numUsed(): number;
  numPendingAcquires(): number;
  pendingAcquires: { reject(reason: Error): void }[];
  pendingCreates: unknown[];
  propagateCreateError: boolean;
  /** Asked before a connection is handed out. */
  validate(connection: PooledConnection): boolean | Promise<boolean>;
  /** Closes what has been idle for too long. */
  check(): void;
  on(
    event: 'acquireRequest' | 'createSuccess' | 'poolDestroySuccess',
    listener: () => void,
  ): void;
  on(event: 'release', listener: (connection: Client) => void): void;
}

/** Knex's client for Postgres. */
export interface PgKnexClient {
  config: Knex.Config;
  pool: TarnPool;
  driver: { Client: typeof Client };
  /** Shared with the clients of transactions, which know no hook of ours. */
  connectionSettings: ClientConfig;
  /** Asked for with the first connection, unless it is known. */
  version?: string;
  checkVersion(connection: Client): Promise<string>;
  /** What Knex was told, unchecked. */
  searchPath?: string | readonly string[];
  setSchemaSearchPath(connection: {
    query(sql: string, done: (error?: Error) => void): void;
  }): Promise<unknown>;
  acquireConnection(): Promise<Client>;
  releaseConnection(connection: Client): Promise<unknown>;
  cancelQuery(connection: Client): Promise<unknown>;
  acquireRawConnection(): Promise<Client>;
  destroyRawConnection(connection: PooledConnection): Promise<void>;
}

export const getPgClient = (knex: Knex) => knex.client as PgKnexClient;

/** Knex asks for this mark before it hands a connection out. */
export const markUnusable = (connection: Client, reason: unknown) =>
  Object.assign(connection, { __knex__disposed: reason });

type QueryError = Error & { code?: string };

/** Calls `listener` with the error of a query, and its connection's id. */
export function onQueryError(
  knex: Knex,
  listener: (error: QueryError, connectionId: string) => void,
): void {
  knex.on(
    'query-error',
    (error: QueryError, { __knexUid }: { __knexUid: string }) =>
      listener(error, __knexUid),
  );
}

/** pg's words for `query_timeout`, below those of Knex. */
export const isQueryTimeout = (message: string) =>
  message.endsWith('Query read timeout');

/** The file that a migrator runs now. */
export const activeMigration = (migrator: Knex.Migrator): string | undefined =>
  (migrator as { _activeMigration?: { fileName?: string | null } })
    ._activeMigration?.fileName ?? undefined;

/** Processes of the server whose connections are in use. */
export const processesInUse = (knex: Knex): number[] =>
  getPgClient(knex).pool.used.map(
    ({ resource }) => (resource as Client & { processID: number }).processID,
  );
