import { LoggerService } from '@backstage/backend-plugin-api';
import type { Knex } from 'knex';
import { activeMigration, processesInUse } from '../connections/knexInternals';
import { onOneLine, showControls } from '../texts';
import type { Clock } from '../time/clock';
import { describeProcess, type ServerProcess } from './serverProcess';

const SLOW_MS = 10_000;

const LONGEST = 120;

interface Waiting extends Omit<ServerProcess, 'pid'> {
  query: string;
  pid: number | null;
}

const WAITING = `
  SELECT w.query, b.pid, coalesce(b.xact_start, b.query_start) AS since,
    pg_catalog.concat_ws(' ', b.usename::text, nullif(b.application_name, ''),
      b.client_addr::text, b.state) AS name
  FROM pg_catalog.pg_stat_activity w
  LEFT JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) x (pid) ON true
  LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = x.pid
  WHERE w.pid = ANY (pg_catalog.string_to_array(?, ',')::int[]) AND w.state = 'active' AND w.pid <> pg_catalog.pg_backend_pid()
  ORDER BY b.pid NULLS LAST LIMIT 3`;

export interface SlowMigrationOptions {
  owner: string;
  logger: LoggerService;
  clock: Clock;
}

/**
 * Tells once what migrations wait for that take long: whoever watches the start
 * would take them for stuck, and a probe that kills them makes that true.
 *
 * @returns what `work` does.
 */
export async function tellingOfSlowness<T>(
  knex: Knex,
  migrator: Knex.Migrator,
  { owner, logger, clock }: SlowMigrationOptions,
  work: () => Promise<T>,
): Promise<T> {
  const tell = async () => {
    const file = activeMigration(migrator);
    const what = `Migrations of plugin '${owner}' take longer than ${SLOW_MS / 1_000} s${file ? `, now ${showControls(file)}` : ''}`;
    const why = await describeWait(knex).catch(
      error => `what for is unknown: ${onOneLine(error)}`,
    );
    logger.warn(`${what}: ${why}. Do not end the process meanwhile`);
  };
  const cancel = clock.schedule(() => void tell(), SLOW_MS);
  try {
    return await work();
  } finally {
    cancel();
  }
}

async function describeWait(knex: Knex): Promise<string> {
  const ids = processesInUse(knex);
  const { rows } = await knex.raw<{ rows: Waiting[] }>(WAITING, [ids.join()]);
  const [first] = rows as (Waiting | undefined)[];
  if (!first) return 'no statement is running';
  const statement = showControls(
    first.query.replace(/\s+/g, ' ').trim().slice(0, LONGEST),
  );
  if (first.pid === null) return `"${statement}" is at work`;
  const blockers = rows.flatMap(({ pid, ...process }) =>
    pid === null ? [] : [describeProcess({ ...process, pid })],
  );
  return `"${statement}" waits for ${blockers.join(', ')}`;
}
