import { EventEmitter, once } from 'node:events';
import { randomUUID } from 'node:crypto';
import type { DuckDBConnection } from '@duckdb/node-api';
import { ApiError } from '../controlPlane/apiError';
import type { Call } from '../controlPlane/callLog';
import type { Catalog } from '../controlPlane/catalog';
import { checkFields } from '../controlPlane/fields';
import { delay } from '../delay';
import type { ServerClock } from '../serverClock';
import {
  openEngine,
  runStatement,
  StatementError,
  type StatementParameter,
  type Table,
} from './engine';
import { Meter } from './meter';
import { SystemTables } from './systemTables';

type State =
  'PENDING' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'CANCELED' | 'CLOSED';

interface Statement {
  id: string;
  state: State;
  table?: Table;
  error?: { error_code: string; message: string };
}

export interface StatementRequest {
  statement?: unknown;
  warehouse_id?: unknown;
  parameters?: StatementParameter[];
  wait_timeout?: string;
  on_wait_timeout?: string;
  format?: string;
  disposition?: string;
}

const KNOWN = [
  'statement',
  'warehouse_id',
  'catalog',
  'schema',
  'parameters',
  'row_limit',
  'byte_limit',
  'wait_timeout',
  'on_wait_timeout',
  'format',
  'disposition',
];

/** A SQL warehouse, whose `system` catalog tells what this emulator really did. */
export class Warehouse {
  readonly id = '4f1c2a9be0d37a58';
  /** A chunk of a result has this many rows at most. */
  rowsPerChunk = 1_000;
  /** A stopped one takes no statement, and is not started by one. */
  state: 'RUNNING' | 'STOPPED' = 'RUNNING';
  /** Whether this workspace gets rows of `system.access.audit`, which not all do. */
  deliversAudit = true;
  /** How late rows of `system.billing.usage` come. */
  billingDelayMs = 0;
  readonly #clock: ServerClock;
  readonly #catalog: Catalog;
  readonly #calls: readonly Call[];
  readonly #workspaceId: () => string;
  readonly #meter: Meter;
  readonly #statements = new Map<string, Statement>();
  readonly #events = new EventEmitter();
  readonly #strangers = new Set<string>();
  readonly #blind = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  #audited = 0;
  #held = false;
  #engine?: Promise<{ engine: DuckDBConnection; tables: SystemTables }>;

  constructor(options: {
    clock: ServerClock;
    catalog: Catalog;
    calls: readonly Call[];
    workspaceId: () => string;
  }) {
    this.#clock = options.clock;
    this.#catalog = options.catalog;
    this.#calls = options.calls;
    this.#workspaceId = options.workspaceId;
    this.#meter = new Meter(options.clock.now());
  }

  /** What an identity may: use the warehouse, read `system`. All do at first. */
  setPermission(
    userName: string,
    { use = true, system = true }: { use?: boolean; system?: boolean },
  ): void {
    for (const [set, allowed] of [
      [this.#strangers, use],
      [this.#blind, system],
    ] as const) {
      if (allowed) set.delete(userName);
      else set.add(userName);
    }
  }

  /** Statements run no further until they are cancelled or released. */
  hold(on: boolean): void {
    this.#held = on;
    this.#events.emit('change');
  }

  /** For tests: what stands in the tables, and what they are to say besides. */
  async tables(): Promise<SystemTables> {
    return (await this.#open()).tables;
  }

  /** All statements so far, the oldest first. */
  states(): State[] {
    return [...this.#statements.values()].map(({ state }) => state);
  }

  async submit(request: StatementRequest, caller: string): Promise<object> {
    const { statement, warehouse_id: id, parameters = [] } = request;
    checkFields(request, KNOWN);
    if (typeof statement !== 'string' || statement.trim() === '')
      throw new ApiError(400, "Field 'statement' is required");
    if (typeof id !== 'string' || id === '')
      throw new ApiError(400, "Field 'warehouse_id' is required");
    if (id !== this.id)
      throw new ApiError(
        404,
        `SQL warehouse ${id} does not exist`,
        'RESOURCE_DOES_NOT_EXIST',
      );
    if (this.#strangers.has(caller))
      throw new ApiError(
        403,
        `You do not have permission to use the SQL Warehouse ${id}`,
      );
    if (this.state === 'STOPPED')
      throw new ApiError(
        400,
        `Warehouse ${id} is stopped and cannot be started automatically`,
        'INVALID_STATE',
      );
    const waitS = waitOf(request.wait_timeout);
    const made: Statement = { id: randomUUID(), state: 'PENDING' };
    this.#statements.set(made.id, made);
    const running = this.#run(made, statement, parameters, caller);
    this.#running.add(running);
    void running.then(() => this.#running.delete(running));
    await Promise.race([running, delay(waitS * 1_000)]);
    if (request.on_wait_timeout === 'CANCEL') this.cancel(made.id);
    return this.read(made.id);
  }

  read(id: string): object {
    const { state, table, error } = this.#find(id);
    return {
      statement_id: id,
      status: { state, ...(error && { error }) },
      ...(table &&
        state === 'SUCCEEDED' && {
          manifest: {
            format: 'JSON_ARRAY',
            schema: {
              column_count: table.columns.length,
              columns: table.columns,
            },
            total_chunk_count: this.#chunksOf(table),
            total_row_count: table.rows.length,
            truncated: false,
          },
          result: this.chunk(id, 0),
        }),
    };
  }

  chunk(id: string, index: number): object {
    const { table } = this.#find(id);
    if (!table || !(index >= 0 && index < this.#chunksOf(table)))
      throw new ApiError(404, `Chunk ${index} of ${id} not found`);
    const begin = index * this.rowsPerChunk;
    const rows = table.rows.slice(begin, begin + this.rowsPerChunk);
    return {
      chunk_index: index,
      row_offset: begin,
      row_count: rows.length,
      data_array: rows,
      ...(index + 1 < this.#chunksOf(table) && {
        next_chunk_index: index + 1,
        next_chunk_internal_link: `/api/2.0/sql/statements/${id}/result/chunks/${index + 1}`,
      }),
    };
  }

  cancel(id: string): object {
    const statement = this.#find(id);
    if (statement.state === 'PENDING' || statement.state === 'RUNNING')
      statement.state = 'CANCELED';
    this.#events.emit('change');
    return {};
  }

  async stop(): Promise<void> {
    this.hold(false);
    // The engine does not outlive being closed in the middle of something.
    await Promise.all(this.#running);
    (await this.#engine)?.engine.closeSync();
  }

  async #run(
    made: Statement,
    statement: string,
    parameters: readonly StatementParameter[],
    caller: string,
  ): Promise<void> {
    while (this.#held && made.state === 'PENDING') await this.#change();
    if (made.state !== 'PENDING') return;
    made.state = 'RUNNING';
    try {
      const refused = /\bsystem\.(billing|access)\b/i.exec(statement);
      if (refused && this.#blind.has(caller))
        throw new StatementError(
          `[INSUFFICIENT_PERMISSIONS] Insufficient privileges: User does not have USE SCHEMA on Schema '${refused[0]}'. SQLSTATE: 42501`,
        );
      const { engine, tables } = await this.#open();
      await this.#write(tables);
      made.table = await runStatement(engine, statement, parameters);
      made.state = 'SUCCEEDED';
    } catch (error) {
      made.state = 'FAILED';
      const { message } = error as Error;
      made.error = { error_code: 'BAD_REQUEST', message };
    }
    this.#events.emit('change');
  }

  /** What has happened since the last time. */
  async #write(tables: SystemTables): Promise<void> {
    const workspaceId = this.#workspaceId();
    const usage = this.#meter.read(
      this.#clock.now() - this.billingDelayMs,
      this.#catalog.endpointHistory(),
      this.#catalog.branchHistory(),
    );
    await tables.addUsage(usage, workspaceId);
    const calls = this.#calls.slice(this.#audited);
    this.#audited += calls.length;
    if (this.deliversAudit) await tables.addAudit(calls, workspaceId);
  }

  #open() {
    this.#engine ??= openEngine().then(async engine => ({
      engine,
      tables: await SystemTables.create(engine),
    }));
    return this.#engine;
  }

  async #change(): Promise<void> {
    await once(this.#events, 'change');
  }

  #find(id: string): Statement {
    const found = this.#statements.get(id);
    if (found) return found;
    throw new ApiError(404, `The statement ${id} was not found`);
  }

  #chunksOf({ rows }: Table): number {
    return Math.max(1, Math.ceil(rows.length / this.rowsPerChunk));
  }
}

function waitOf(timeout = '10s'): number {
  const seconds = Number(/^(\d+)s$/.exec(timeout)?.[1]);
  if (seconds === 0 || (seconds >= 5 && seconds <= 50)) return seconds;
  throw new ApiError(
    400,
    'wait_timeout must be 0 seconds or between 5 and 50 seconds',
  );
}
