import { LakebaseError } from '../errors';

/** A connection to one database: its statements run one after the other. */
export interface Session {
  rows: <Row extends object>(sql: string, values?: unknown[]) => Promise<Row[]>;
}

/** Where this tool keeps what it knows of a copy. */
export const MARKS = 'backstage_lakebase';

/**
 * Writes something to the copy that the source does not show: whatever names
 * and hosts said, they are two databases.
 *
 * @throws LakebaseError `branch-refused` where they are one.
 */
export async function proveCopy(
  name: string,
  copy: Session,
  source: Session,
): Promise<void> {
  const [{ mark }] = await inTransaction(copy, async () => {
    await copy.rows(
      `CREATE SCHEMA IF NOT EXISTS ${MARKS};
       CREATE TABLE IF NOT EXISTS ${MARKS}.marks (name text PRIMARY KEY, value text)`,
    );
    return copy.rows<{ mark: string }>(
      `INSERT INTO ${MARKS}.marks (name, value)
       VALUES ('proof', pg_catalog.gen_random_uuid()::text)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value
       RETURNING value AS mark`,
    );
  });
  if ((await readMark(source, 'proof')) !== mark) return;
  throw new LakebaseError('branch-refused', {
    problem:
      `What was written to database ${name} of the copy is in its source, too: ` +
      'they are the same database, and nothing of it is changed',
    remedy: 'Check that no host or tunnel of the configuration leads elsewhere',
  });
}

/** Undefined also where there have never been marks. */
export async function readMark(
  session: Session,
  name: 'scrubbed' | 'proof',
): Promise<string | undefined> {
  const [{ exists }] = await session.rows<{ exists: boolean }>(
    `SELECT pg_catalog.to_regclass('${MARKS}.marks') IS NOT NULL AS exists`,
  );
  if (!exists) return undefined;
  const [mark] = await session.rows<{ value: string }>(
    `SELECT value FROM ${MARKS}.marks WHERE name = $1`,
    [name],
  );
  return (mark as { value: string } | undefined)?.value;
}

/** Begins a transaction: the same command may be at work twice. */
export async function beginAlone({ rows }: Session): Promise<void> {
  await rows('BEGIN READ WRITE');
  await rows(
    `SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('${MARKS}'))`,
  );
}

/** Runs `work` in a transaction, alone among the runs of this tool. */
export async function inTransaction<T>(
  session: Session,
  work: () => Promise<T>,
): Promise<T> {
  try {
    await beginAlone(session);
    const result = await work();
    await session.rows('COMMIT');
    return result;
  } catch (error) {
    // The connection may be what failed.
    await session.rows('ROLLBACK').catch(() => {});
    throw error;
  }
}
