import { setTimeout as delay } from 'node:timers/promises';
import type { PluginDatabase } from '../../testbed/contenders';

export interface Query {
  /** By `Date.now()`. */
  at: number;
  latencyMs: number;
  /** Absent: it succeeded. */
  error?: string;
}

export interface LoadOptions {
  databases: PluginDatabase[];
  clientsPerPlugin: number;
  /** Between two queries of one client, as in a portal that is in use. */
  thinkMs: number;
  durationMs: number;
  sql?: string;
}

/** Queries on and on; failures are results like others. */
export async function steadyLoad(options: LoadOptions): Promise<Query[]> {
  const { databases, clientsPerPlugin, thinkMs, durationMs } = options;
  const { sql = 'select 1' } = options;
  const until = Date.now() + durationMs;
  const queries: Query[] = [];

  const client = async (database: PluginDatabase) => {
    // Or all would ask at the same moments.
    await delay(Math.random() * thinkMs);
    while (Date.now() < until) {
      queries.push(await timed(() => database.query(sql)));
      await delay(thinkMs);
    }
  };
  await Promise.all(
    databases.flatMap(database =>
      Array.from({ length: clientsPerPlugin }, () => client(database)),
    ),
  );
  return queries;
}

export async function timed(run: () => Promise<unknown>): Promise<Query> {
  const at = Date.now();
  const begin = performance.now();
  let error: string | undefined;
  try {
    await run();
  } catch (failure) {
    error = String(failure);
  }
  return { at, latencyMs: performance.now() - begin, error };
}

export const failuresOf = (queries: Query[]) =>
  queries.filter(({ error }) => error !== undefined);
