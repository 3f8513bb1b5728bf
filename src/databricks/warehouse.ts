import { ConfigurationError, LakebaseError } from '../errors';
import { type Clock, elapsedMs, instant } from '../time/clock';
import { pausesBetweenLooks } from '../time/polls';
import { retry } from '../time/retry';
import type { GetResource, ResourceRequest } from './endpoint';
import { readPages } from './pages';
import { explainStatement } from './statementErrors';
import {
  chunkReply,
  emptyReply,
  type StatementInfo,
  statementReply,
} from './statementReplies';

const API = '/api/2.0/sql/statements';

/** A classic warehouse takes minutes to start. */
const PATIENCE_MS = 15 * 60_000;

/** After this somebody who waits is told what for. */
const TELL_AFTER_MS = 3_000;

/** Inline results have 25 MiB at most, by the platform's documentation. */
const MAX_RESULT_BYTES = 32 * 1024 * 1024;
const MAX_CHUNKS = 1_000;

/** Values travel beside the SQL, by name. */
export interface StatementParameter {
  name: string;
  value: string;
  type: 'STRING' | 'DATE' | 'TIMESTAMP';
}

export interface Statement {
  /** What it is for, as it reads after "Databricks refused to". */
  action: string;
  sql: string;
  parameters: readonly StatementParameter[];
  /** What it reads, to be granted where that is missing: `system.billing`. */
  schema: string;
}

/** By column. The platform gives every value as text. */
export type Row = Record<string, string | null>;

export interface StatementResult {
  rows: Row[];
  /** Whether the platform left some out. */
  truncated: boolean;
}

export interface WarehouseOptions {
  id: string;
  request: GetResource;
  clock: Clock;
  signal: AbortSignal;
  /** Hears what is waited for. */
  tell: (line: string) => void;
}

/** A SQL warehouse of the workspace, by the Statement Execution API. */
export class Warehouse {
  readonly #options: WarehouseOptions;

  constructor(options: WarehouseOptions) {
    this.#options = options;
  }

  /**
   * Runs a statement to its end, and reads all that it gives. What is under way
   * when this ends early, by Ctrl-C or by an error, is cancelled.
   *
   * @throws LakebaseError
   */
  async run(statement: Statement): Promise<StatementResult> {
    const { action, sql, parameters } = statement;
    // Not cut short: only a reply says what there is to cancel.
    const begun = await this.#call(
      {
        action,
        method: 'POST',
        path: API,
        body: {
          statement: sql,
          warehouse_id: this.#options.id,
          parameters,
          wait_timeout: '0s',
          format: 'JSON_ARRAY',
          disposition: 'INLINE',
        },
        schema: statementReply,
        maxBytes: MAX_RESULT_BYTES,
      },
      { cutShort: false },
    );
    let current: StatementInfo;
    try {
      current = await this.#untilDone(begun, action);
    } catch (error) {
      await this.#cancel(begun.id);
      throw error;
    }
    if (current.state !== 'SUCCEEDED') {
      throw explainStatement(current, statement);
    }
    const { columns, truncated } = current;
    const cells = await this.#readAll(current, action);
    const rows = cells.map(row =>
      Object.fromEntries(columns.map((name, index) => [name, row[index]])),
    );
    return { rows, truncated };
  }

  async #untilDone(
    begun: StatementInfo,
    action: string,
  ): Promise<StatementInfo> {
    const { id: warehouse, clock, signal, tell } = this.#options;
    const since = instant(clock);
    const pause = pausesBetweenLooks({
      clock,
      signal,
      patienceMs: PATIENCE_MS,
      gaveUp: () =>
        new LakebaseError('statement-failed', {
          problem: `SQL warehouse ${warehouse} has taken more than ${PATIENCE_MS / 60_000} minutes to ${action}`,
          remedy: 'See the warehouse in the workspace: it may be overloaded',
        }),
    });
    let told = false;
    let current = begun;
    signal.throwIfAborted();
    while (current.state === 'PENDING' || current.state === 'RUNNING') {
      if (elapsedMs(clock, since) > TELL_AFTER_MS && !told) {
        told = true;
        tell(
          current.state === 'PENDING'
            ? `SQL warehouse ${warehouse} is starting up; waiting for it`
            : `SQL warehouse ${warehouse} is at work; waiting for it`,
        );
      }
      await pause();
      current = await this.#call({
        action,
        path: `${API}/${encodeURIComponent(current.id)}`,
        schema: statementReply,
        maxBytes: MAX_RESULT_BYTES,
      });
    }
    return current;
  }

  async #readAll({ id, first }: StatementInfo, action: string) {
    const { next } = first ?? {};
    const others =
      next === undefined
        ? []
        : await readPages(`the rows of statement ${id}`, MAX_CHUNKS, page =>
            this.#readChunk(id, page ?? String(next), action),
          );
    return [...(first?.rows ?? []), ...others];
  }

  async #readChunk(id: string, index: string, action: string) {
    const { rows, next } = await this.#call({
      action,
      path: `${API}/${encodeURIComponent(id)}/result/chunks/${index}`,
      schema: chunkReply,
      maxBytes: MAX_RESULT_BYTES,
    });
    return { entries: rows, next: next === undefined ? next : String(next) };
  }

  /** Also after Ctrl-C; one attempt, since it ends by itself some time. */
  async #cancel(id: string): Promise<void> {
    const { request, tell } = this.#options;
    try {
      await request({
        action: 'cancel the statement',
        method: 'POST',
        path: `${API}/${encodeURIComponent(id)}/cancel`,
        body: {},
        surface: 'statements',
        schema: emptyReply,
      });
    } catch {
      tell(`Statement ${id} could not be cancelled, and may still run`);
    }
  }

  #call<T>(request: ResourceRequest<T>, { cutShort = true } = {}): Promise<T> {
    const { clock, signal } = this.#options;
    return retry(
      () =>
        this.#options.request({
          ...request,
          surface: 'statements',
          ...(cutShort && { signal }),
        }),
      { clock, signal },
    );
  }
}

/** As `/sql/1.0/warehouses/…`, the form in which a workspace shows it. */
const HTTP_PATH = /^\/?sql\/1\.0\/(?:warehouses|endpoints)\/([^/]+)$/;

/**
 * @returns the id, also of the path under which drivers know a warehouse.
 * @throws ConfigurationError
 */
export function readWarehouseId(value: string, key: string): string {
  const text = value.trim();
  const id = HTTP_PATH.exec(text)?.[1] ?? text;
  if (/^[\w-]{1,100}$/.test(id)) return id;
  throw new ConfigurationError(
    `${key} is no id of a SQL warehouse`,
    'Take the id that the workspace shows beside its name, such as 4f1c2a9be0d37a58',
  );
}
