import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Clock } from '../time/clock';
import type { Queries } from './queries';
import { LOCKS_OF, type LoggedStatement } from './statementLog';
import type { WorkTime } from './workTime';

/** How long others could not use a table. */
export interface BlockedTable {
  table: string;
  readsMs: number;
  writesMs: number;
}

/** Between two looks; what is shorter may not be seen. */
const LOOK_EVERY_MS = 20;

const FOUND = 'backstage_lakebase.blocked';

/**
 * Tries to read and to write, without a wait and without an effect: each lock
 * is given back at once.
 */
function probe(schema: string, tables: readonly string[]): string {
  const paths = tables
    .map(
      table =>
        `(${escapeLiteral(table)}, ${escapeLiteral(
          `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`,
        )})`,
    )
    .join(', ');
  return `DO $probe$
    DECLARE
      found record;
      blocked text[] := '{}';
    BEGIN
      FOR found IN SELECT * FROM (VALUES ${paths}) t (name, path),
          (VALUES ('ACCESS SHARE'), ('ROW EXCLUSIVE')) m (mode)
      LOOP
        BEGIN
          EXECUTE 'LOCK TABLE ' || found.path || ' IN ' || found.mode || ' MODE NOWAIT';
          RAISE EXCEPTION USING ERRCODE = 'LB000';
        EXCEPTION
          WHEN lock_not_available THEN
            blocked := blocked || (found.mode || ' ' || found.name);
          -- Free, dropped by now, or not ours.
          WHEN OTHERS THEN NULL;
        END;
      END LOOP;
      PERFORM pg_catalog.set_config('${FOUND}', blocked::text, false);
    END $probe$`;
}

const READ_FOUND = `SELECT pg_catalog.unnest(pg_catalog.current_setting('${FOUND}')::text[]) AS blocked`;

export interface ProbeOptions {
  schema: string;
  tables: readonly string[];
  /** A connection of its own. */
  queries: Queries;
  time: WorkTime;
  clock: Clock;
  /** The processes whose locks end with their statements. */
  processes: () => number[];
}

/** Whom the work that goes on now belongs to. */
export interface BlockedSink {
  blocked: BlockedTable[];
  statements: LoggedStatement[];
}

/** Keeps trying to use the tables as a portal would. */
export class BlockedTables {
  readonly #options: ProbeOptions;
  readonly #stopped = new AbortController();
  #running?: Promise<void>;
  sink?: BlockedSink;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
    // Whoever stops it hears of it.
    this.#running.catch(() => {});
  }

  /** @throws what ended the probe before, if anything did. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { schema, tables, queries, time, clock } = this.#options;
    const sql = probe(schema, tables);
    let last = time.now();
    while (tables.length > 0 && !this.#stopped.signal.aborted) {
      const { sink } = this;
      await queries.rows(sql);
      const found = await queries.rows<{ blocked: string }>(READ_FOUND);
      const sampled = await queries.rows<{ table: string; mode: string }>(
        LOCKS_OF(`= ANY ('{${this.#options.processes().join()}}'::int[])`),
      );
      const now = time.now();
      const ms = now - last;
      last = now;
      if (sink) {
        for (const { blocked } of found) add(sink, blocked, ms);
        for (const lock of sampled) sample(sink, lock, ms);
      }
      await clock
        .pause(LOOK_EVERY_MS, this.#stopped.signal)
        .catch(() => undefined);
    }
  }
}

function add({ blocked }: BlockedSink, found: string, ms: number): void {
  const [, mode, table] = /^(ACCESS SHARE|ROW EXCLUSIVE) (.*)$/s.exec(found)!;
  let entry = blocked.find(it => it.table === table);
  if (!entry) {
    entry = { table, readsMs: 0, writesMs: 0 };
    blocked.push(entry);
  }
  entry[mode === 'ACCESS SHARE' ? 'readsMs' : 'writesMs'] += ms;
}

/** Of the statement that runs, if it has no transaction to ask in. */
function sample(
  { statements }: BlockedSink,
  { table, mode }: { table: string; mode: string },
  ms: number,
): void {
  const known = statements
    .flatMap(({ locks }) => locks)
    .find(it => it.table === table && it.mode === mode);
  if (known?.sampled) known.heldMs += ms;
  if (known) return;
  const last = statements.at(-1);
  if (last && !last.inTransaction) {
    last.locks.push({ table, mode, heldMs: ms, sampled: true });
  }
}
