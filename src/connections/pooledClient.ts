import type { Client } from 'pg';
import type { KnexPgClient } from './openConnection';

/** Queries name their connection by this id. */
export type PooledConnection = Client & { __knexUid: string };

/** The part of tarn's pool, the same since Knex 3.0, that is adjusted here. */
interface TarnPool {
  /** Since when, by `Date.now()`, each of them has been idle. */
  free: { resource: Client; timestamp: number }[];
  on(
    event:
      'acquireRequest' | 'createSuccess' | 'release' | 'poolDestroySuccess',
    listener: () => void,
  ): void;
  validate(connection: PooledConnection): boolean | Promise<boolean>;
  check(): void;
  pendingAcquires: { reject(reason: Error): void }[];
  pendingCreates: unknown[];
  propagateCreateError: boolean;
}

/** Knex's Postgres client, as far as it is adjusted here. */
export type PooledClient = KnexPgClient & {
  pool: TarnPool;
  acquireConnection(): Promise<Client>;
  releaseConnection(connection: Client): Promise<unknown>;
  cancelQuery(connection: Client): Promise<unknown>;
  acquireRawConnection(): Promise<Client>;
  destroyRawConnection(connection: PooledConnection): Promise<void>;
};
