import { escapeRegExp } from 'lodash';
import type { Row, Statement } from '../databricks/warehouse';

/** What Databricks wrote down of somebody's action. */
export interface AuditEntry {
  at: Date;
  who: string;
  service: string;
  action: string;
  /** Missing where the log does not say. */
  status?: number;
  /** Equal ones of that day, this one included. */
  times: number;
  /** What was asked for, as far as the log tells. */
  params: Record<string, string>;
}

/** As many lines as anybody reads: the newest. */
export const MAX_ENTRIES = 10_000;

/** Every login needs one at some time, so they would hide all else. */
const MINTS = `lower(action_name) LIKE '%credential%'`;

/**
 * Which actions there are is not certain, so that the services count, and the
 * project wherever it stands in what was asked for.
 *
 * @param names - ids and uids: a project has one of them in it, and so has a
 * branch, if it is asked for.
 */
export function auditStatement(
  since: Date,
  project: readonly string[],
  branch: readonly string[] = [],
): Statement {
  const params = 'CAST(request_params AS STRING)';
  const about = (parameter: string) =>
    `regexp_extract(${params}, :${parameter}, 0) <> ''`;
  return {
    action: 'read the audit log',
    schema: 'system.access',
    sql: `SELECT
  CASE WHEN ${MINTS} THEN date_trunc('DAY', event_time) ELSE event_time END AS at,
  user_identity.email AS who,
  service_name AS service,
  action_name AS action,
  to_json(response) AS response,
  CASE WHEN ${MINTS} THEN NULL ELSE to_json(request_params) END AS params,
  count(*) AS times
FROM system.access.audit
WHERE event_date >= CAST(:since AS DATE) AND event_time >= :since
  AND service_name IN ('postgres', 'lakebase', 'databaseInstances')
  AND ${about('project')}${branch.length > 0 ? `\n  AND ${about('branch')}` : ''}
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1 DESC
LIMIT ${MAX_ENTRIES + 1}`,
    parameters: [
      { name: 'since', value: since.toISOString(), type: 'TIMESTAMP' },
      { name: 'project', value: wordOf(project), type: 'STRING' },
      ...(branch.length > 0
        ? [
            {
              name: 'branch',
              value: wordOf(branch),
              type: 'STRING' as const,
            },
          ]
        : []),
    ],
  };
}

/** One of these, and not as a part of a longer id. */
const wordOf = (names: readonly string[]) =>
  `(^|[^A-Za-z0-9-])(${names.map(escapeRegExp).join('|')})($|[^A-Za-z0-9-])`;

export const auditEntry = (row: Row): AuditEntry => {
  const response = jsonOf(row.response);
  // The log has been documented with either name.
  const status = Number(response.status_code ?? response.statusCode);
  return {
    at: new Date(row.at ?? NaN),
    who: row.who ?? 'unknown',
    service: row.service ?? '',
    action: row.action ?? '',
    status: Number.isFinite(status) ? status : undefined,
    times: Number(row.times ?? 1),
    params: Object.fromEntries(
      Object.entries(jsonOf(row.params)).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    ),
  };
};

function jsonOf(text: string | null | undefined): Record<string, unknown> {
  try {
    return (JSON.parse(text ?? '{}') ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}
