import type { Statement } from '../databricks/warehouse';

export const COST_BY = ['day', 'branch', 'endpoint'] as const;

export type CostBy = (typeof COST_BY)[number];

export interface CostQuestion {
  /** The project's uid: bills know no other name of it. */
  project: string;
  by: CostBy;
  /** The first day, `2026-11-01`, by UTC as all days of a bill. */
  since: string;
  /** Such as `USD`. */
  currency: string;
}

const DAY = 'u.usage_date';
const BRANCH = 'u.usage_metadata.branch_id';
const ENDPOINT = 'u.usage_metadata.endpoint_id';

const GROUPS: Record<CostBy, Record<string, string>> = {
  day: { day: DAY },
  branch: { branch: BRANCH },
  endpoint: { branch: BRANCH, endpoint: ENDPOINT },
};

/**
 * Corrections are rows of their own, with negative quantities, so that sums
 * hold. What has no price in the interval is counted apart, never as 0.
 */
export function costStatement({
  project,
  by,
  since,
  currency,
}: CostQuestion): Statement {
  const groups = Object.entries(GROUPS[by]);
  const kind = `CASE WHEN u.sku_name LIKE '%STORAGE%'
         THEN coalesce(u.product_features.lakebase.storage_type, 'STORAGE')
         ELSE 'COMPUTE' END`;
  const columns = groups.map(([name, sql]) => `  ${sql} AS ${name},`);
  const grouped = [...groups.map(([, sql]) => sql), kind, 'u.usage_unit'];
  return {
    action: 'read what the project has cost',
    schema: 'system.billing',
    sql: `SELECT
${columns.join('\n')}
  ${kind} AS kind,
  u.usage_unit AS unit,
  sum(u.usage_quantity) AS units,
  sum(CASE WHEN p.sku_name IS NULL THEN u.usage_quantity END) AS unpriced_units,
  sum(CAST(u.usage_quantity AS DOUBLE) * CAST(p.pricing.default AS DOUBLE)) AS list_price,
  max(u.usage_end_time) AS newest
FROM system.billing.usage u
LEFT JOIN system.billing.list_prices p
  ON p.sku_name = u.sku_name AND p.cloud = u.cloud
  AND p.usage_unit = u.usage_unit AND p.currency_code = :currency
  AND u.usage_start_time >= p.price_start_time
  AND (p.price_end_time IS NULL OR u.usage_start_time < p.price_end_time)
WHERE u.billing_origin_product IN ('LAKEBASE', 'DATABASE')
  AND u.usage_metadata.project_id = :project
  AND u.usage_date >= :since
GROUP BY ${grouped.join(', ')}
ORDER BY ${groups.map(([name]) => name).join(', ')}, kind`,
    parameters: [
      { name: 'project', value: project, type: 'STRING' },
      { name: 'since', value: since, type: 'DATE' },
      { name: 'currency', value: currency, type: 'STRING' },
    ],
  };
}
