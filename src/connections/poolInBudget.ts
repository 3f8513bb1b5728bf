import { AsyncLocalStorage } from 'node:async_hooks';
import type { Client } from 'pg';
import type {
  BudgetMember,
  ConnectionBudget,
  Release,
} from './connectionBudget';
import { markUnusable, type PgKnexClient } from './knexInternals';
import type { TokenSource } from './openConnection';
import { getWire } from './pgWire';
import type { Clock } from '../time/clock';
import { boundGoodbye } from './sockets';

export interface PoolInBudgetOptions {
  /** Bounds the connections of all pools together. */
  budget?: ConnectionBudget;
  /** For whom connections are opened. */
  owner: string;
  tokens: TokenSource;
  clock: Clock;
}

/**
 * Lets each connection take a place in the budget from before it is opened
 * until it is closed, and offers those that are idle to other pools.
 *
 * @returns what opens the next connection.
 */
export function keepToBudget(
  client: PgKnexClient,
  open: (signal: AbortSignal) => Promise<Client>,
  { budget, owner, tokens, clock }: PoolInBudgetOptions,
): () => typeof open {
  if (!budget) return () => open;
  const { pool } = client;
  const releases = new WeakMap<Client, Release>();
  const member: BudgetMember = {
    owner,
    // Queries that asked for them were served by connections of the pool.
    surplus: () =>
      Math.max(0, pool.pendingCreates.length - pool.pendingAcquires.length),
    // Without a credential a connection can't be replaced.
    idle: () =>
      (tokens.usable ? pool.free : []).map(({ resource, timestamp }) => ({
        since: timestamp,
        release: releases.get(resource)!,
        close: () => closeIdle(resource, clock),
      })),
  };
  budget.join(member);
  pool.on('poolDestroySuccess', () => budget.leave(member));
  // Told before the connection is among the free ones, or handed out again. A
  // new one is free at once when who asked for it got another one meanwhile.
  const offer = () => setImmediate(() => budget.offer());
  pool.on('release', offer);
  pool.on('createSuccess', offer);
  pool.on('acquireRequest', offer);

  // Tells the connection that Knex opens for a cancellation from others.
  const cancelling = new AsyncLocalStorage<true>();
  const cancelQuery = client.cancelQuery.bind(client);
  client.cancelQuery = connection =>
    cancelling.run(true, () => cancelQuery(connection));

  return () => {
    const acquire = cancelling.getStore() ? 'acquireToCancel' : 'acquire';
    return async signal => {
      const release = await budget[acquire](owner, signal);
      try {
        const connection = await open(signal);
        releases.set(connection, release);
        getWire(connection).stream.once('close', release);
        return connection;
      } catch (error) {
        release();
        throw error;
      }
    };
  };
}

function closeIdle(connection: Client, clock: Clock): void {
  markUnusable(connection, 'Closed for another pool');
  boundGoodbye(connection, clock);
  // Not awaited: its place is free when the socket is closed.
  connection.end().catch(() => {});
}
