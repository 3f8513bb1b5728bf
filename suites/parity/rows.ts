import type { JsonObject } from '@backstage/types';
import { CONNECTION_ROWS } from './rowsOfConnections';
import { KNEX_ROWS } from './rowsOfKnex';
import { OBJECT_ROWS } from './rowsOfObjects';

/** A configuration that an installation may have. */
export interface Row {
  name: string;
  /**
   * What `backend.database` says beyond the way to the server. Of each side's
   * own, {host}, {port}, {user}, {login} (with a password where there is one)
   * and {tls} are filled in.
   */
  database: JsonObject;
  pluginId?: string;
  /** Statements of the superuser that come first, and in which database. */
  before?: [database: string, sql: string][];
  /** What the stock service says when it refuses the row. */
  refused?: string;
  /** What an operator does about the refusal, before the plugin asks again. */
  mend?: string[];
  /** Differences that this row may show beside those of all rows. */
  differs?: string[];
}

/** A row for each branch of the stock Postgres connector. */
export const ROWS: Row[] = [...CONNECTION_ROWS, ...OBJECT_ROWS, ...KNEX_ROWS];
