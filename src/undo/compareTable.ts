import { escapeIdentifier } from 'pg';
import type { Session } from './session';
import { pathOf, type Table } from './tables';

/** Rows of a table, then and now. */
export interface Comparison {
  then: number;
  now: number;
  gone: number;
  changed: number;
  added: number;
}

interface Digest {
  key: string;
  row: string;
}

const FETCH = 5_000;

/** The columns of both that can be compared. */
export const commonColumns = (
  then: Table,
  now: Table,
  own: readonly string[],
): string[] =>
  then.columns
    .filter(({ name }) => !own.includes(name))
    .filter(({ name }) => now.columns.some(it => it.name === name))
    .map(({ name }) => name);

/** What tells rows apart on both sides; empty where nothing does. */
export const commonKey = (
  then: Table,
  now: Table,
  own: readonly string[],
): string[] =>
  now.key.every(
    name => then.columns.some(it => it.name === name) && !own.includes(name),
  )
    ? now.key
    : [];

const record = (columns: readonly string[]) =>
  `ROW(${columns.map(escapeIdentifier).join(', ')})::text`;

/**
 * Counts what has become of the rows of a table. Both sides are read once, in
 * the order of digests of their keys, a few thousand at a time.
 */
export async function compareTable(
  then: { table: Table; session: Session },
  now: { table: Table; session: Session },
  own: readonly string[],
): Promise<Comparison> {
  const columns = commonColumns(then.table, now.table, own);
  const key = commonKey(then.table, now.table, own);
  const digests = (table: Table) => `
    SELECT key, row FROM (
      SELECT pg_catalog.md5(${record(key.length > 0 ? key : columns)}) AS key,
             pg_catalog.md5(${record(columns)}) AS row
      FROM ${pathOf(table)}) d
    ORDER BY key COLLATE "C"`;
  const left = new Groups(then.session, digests(then.table));
  const right = new Groups(now.session, digests(now.table));
  const found = { then: 0, now: 0, gone: 0, changed: 0, added: 0 };
  try {
    let a = await left.next();
    let b = await right.next();
    while (a ?? b) {
      const order = !a
        ? 1
        : !b
          ? -1
          : a.key < b.key
            ? -1
            : a.key > b.key
              ? 1
              : 0;
      const old = order <= 0 ? a!.rows : [];
      const current = order >= 0 ? b!.rows : [];
      found.then += old.length;
      found.now += current.length;
      const both = Math.min(old.length, current.length);
      found.gone += old.length - both;
      found.added += current.length - both;
      // With a key there is one on each side.
      if (both > 0 && old[0] !== current[0]) found.changed += both;
      if (order <= 0) a = await left.next();
      if (order >= 0) b = await right.next();
    }
    return found;
  } finally {
    await Promise.all([left.close(), right.close()]);
  }
}

/** Rows of one key after those of another, as they are at its first call. */
class Groups {
  readonly #session: Session;
  readonly #sql: string;
  #page: Digest[] = [];
  #position = 0;
  #opened = false;
  #ended = false;

  constructor(session: Session, sql: string) {
    this.#session = session;
    this.#sql = sql;
  }

  async next(): Promise<{ key: string; rows: string[] } | undefined> {
    const first = await this.#peek();
    if (!first) return undefined;
    const rows: string[] = [];
    for (;;) {
      const digest = await this.#peek();
      if (digest?.key !== first.key) return { key: first.key, rows };
      rows.push(digest.row);
      this.#position += 1;
    }
  }

  async close(): Promise<void> {
    if (!this.#opened) return;
    // The connection may be what failed.
    await this.#session.rows('ROLLBACK').catch(() => {});
  }

  async #peek(): Promise<Digest | undefined> {
    if (this.#position < this.#page.length) return this.#page[this.#position];
    if (this.#ended) return undefined;
    const { rows } = this.#session;
    if (!this.#opened) {
      this.#opened = true;
      await rows('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await rows(`DECLARE digests NO SCROLL CURSOR FOR ${this.#sql}`);
    }
    this.#page = await rows<Digest>(`FETCH ${FETCH} FROM digests`);
    this.#position = 0;
    this.#ended = this.#page.length < FETCH;
    return this.#page[0];
  }
}
