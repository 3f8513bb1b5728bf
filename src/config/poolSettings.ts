import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import { isNil } from 'lodash';
import { ConfigurationError } from '../errors';

/**
 * A plugin's pool, and how long one of its connections may take: 1 s less than
 * the caller's own time-out, or that would hide the reason of the failure.
 *
 * @throws ConfigurationError
 */
export function readPool(
  knexConfig: JsonObject,
  connectTimeoutMs: number,
): { settings: Knex.PoolConfig; connectTimeoutMs: number } {
  const given = (knexConfig.pool ?? {}) as Knex.PoolConfig;
  for (const [key, value] of Object.entries(given)) {
    if (typeof value === 'string') {
      throw new ConfigurationError(
        `backend.database.knexConfig.pool.${key} must not be a string`,
      );
    }
  }
  const settings = {
    min: 0,
    // Longer than our own deadline, or Knex's timeout would hide the cause.
    createTimeoutMillis: connectTimeoutMs + 5_000,
    // Knex takes the smaller one of the two.
    ...(isNil(knexConfig.acquireConnectionTimeout) && {
      acquireTimeoutMillis: connectTimeoutMs + 10_000,
    }),
    ...given,
  };
  const limits = [
    settings.acquireTimeoutMillis,
    settings.createTimeoutMillis,
    knexConfig.acquireConnectionTimeout,
  ].filter(limit => typeof limit === 'number');
  return {
    settings,
    connectTimeoutMs: Math.min(
      connectTimeoutMs,
      ...limits.map(limit => Math.max(limit - 1_000, limit / 2)),
    ),
  };
}
