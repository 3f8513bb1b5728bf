import type { Knex } from 'knex';
import { sumBy } from 'lodash';
import { LAKEBASE_KEY } from '../config/keys';
import { getPgClient } from '../connections/knexInternals';

export interface ConnectionLimits {
  max: number;
  /** To logins without a privilege of their own. */
  available: number;
}

/** Asks for ConnectionLimits. Servers before 16 have no reserved_connections. */
export const CONNECTION_LIMITS = `
  SELECT max, max - superuser - reserved AS available FROM (SELECT
    pg_catalog.current_setting('max_connections')::int AS max,
    pg_catalog.current_setting('superuser_reserved_connections')::int AS superuser,
    coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0) AS reserved
  ) AS settings`;

/**
 * The warning for pools that may open more connections than the endpoint
 * allows.
 *
 * @param maxConnections - the bound that the operator has set.
 */
export async function warnOfConnections(
  pools: Knex[],
  maxConnections: number | undefined,
): Promise<string | undefined> {
  if (pools.length === 0) return undefined;
  const { rows } = await pools[0].raw<{ rows: ConnectionLimits[] }>(
    CONNECTION_LIMITS,
  );
  const [{ max, available }] = rows;
  const wanted = sumBy(pools, knex => getPgClient(knex).pool.max);
  if (Math.min(wanted, maxConnections ?? Infinity) <= available)
    return undefined;
  const [may, remedy] = maxConnections
    ? [
        `${LAKEBASE_KEY}.maxConnections lets this process open ${maxConnections} connections`,
        'Lower it',
      ]
    : [
        `The pools of ${pools.length} plugins may open ${wanted} connections (knexConfig.pool.max of each)`,
        `Set ${LAKEBASE_KEY}.maxConnections`,
      ];
  return (
    `${may}, but the endpoint lets in ${available}, from all replicas together ` +
    `(max_connections ${max} less ${max - available} reserved). ${remedy}, or give ` +
    'the endpoint a larger compute'
  );
}
