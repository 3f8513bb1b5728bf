import type { DuckDBConnection } from '@duckdb/node-api';
import { SYSTEM } from './systemTables';

/** As a caller gives it. */
export interface StatementParameter {
  name: string;
  value?: string | null;
  type?: string;
}

export interface Table {
  columns: { name: string; type_name: string; position: number }[];
  rows: (string | null)[][];
}

/** What Databricks calls the types of the engine. */
const TYPE_NAMES: Record<string, string> = {
  VARCHAR: 'STRING',
  JSON: 'STRING',
  BIGINT: 'LONG',
  HUGEINT: 'DECIMAL',
  INTEGER: 'INT',
};

const PARAMETER_TYPES = /^(STRING|DATE|TIMESTAMP|INT|BIGINT|DOUBLE|BOOLEAN)$/;

/** A statement that Databricks would refuse, in its words. */
export class StatementError extends Error {}

/** Opens the engine, which is loaded for whoever needs it only. */
export async function openEngine(): Promise<DuckDBConnection> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:');
  return instance.connect();
}

/** @throws StatementError */
export async function runStatement(
  engine: DuckDBConnection,
  statement: string,
  parameters: readonly StatementParameter[],
): Promise<Table> {
  const values: Record<string, string | null> = {};
  const sql = translate(statement, name => {
    const given = parameters.find(it => it.name === name);
    if (!given)
      throw new StatementError(
        `[UNBOUND_SQL_PARAMETER] Found the unbound parameter: ${name}. Please, fix \`args\` and provide a mapping of the parameter to either a SQL literal or collection constructor functions. SQLSTATE: 42P02`,
      );
    const { type = 'STRING', value = null } = given;
    if (!PARAMETER_TYPES.test(type))
      throw new StatementError(
        `[UNSUPPORTED_DATATYPE] Unsupported data type "${type}". SQLSTATE: 0A000`,
      );
    values[name] = value;
    return `CAST($${name} AS ${type})`;
  });
  try {
    const result = await engine.runAndReadAll(sql, values);
    const types = result.columnTypes().map(type => typeName(String(type)));
    return {
      columns: result.columnNames().map((name, position) => ({
        name,
        type_name: types[position],
        position,
      })),
      rows: result
        .getRowsJson()
        .map(row => row.map((cell, column) => cellOf(cell, types[column]))),
    };
  } catch (error) {
    throw new StatementError(inTheirWords((error as Error).message));
  }
}

/**
 * The dialects share what the product uses, but for two things: how a parameter
 * is written, and the name of the catalog `system`.
 */
function translate(sql: string, nameOf: (name: string) => string): string {
  return sql
    .split(/('(?:[^']|'')*')/)
    .map((part, index) =>
      index % 2 === 1
        ? part
        : part
            .replace(/--.*$/gm, '')
            .replace(/(?<![:\w]):([a-z_]\w*)/gi, (_, name: string) =>
              nameOf(name),
            )
            .replace(/\bsystem\.(?=billing|access)/gi, `${SYSTEM}.`),
    )
    .join('');
}

const typeName = (type: string): string => {
  const plain = type.replace(/\(.*$/, '');
  return TYPE_NAMES[plain] ?? plain;
};

/** Text, as the API gives every value. */
function cellOf(cell: unknown, type: string): string | null {
  if (cell === null || cell === undefined) return null;
  const text = typeof cell === 'string' ? cell : JSON.stringify(cell);
  return type === 'TIMESTAMP'
    ? new Date(`${text.replace(' ', 'T')}Z`).toISOString()
    : text;
}

function inTheirWords(message: string): string {
  const [line] = message.split('\n');
  const [condition, state] = /^Parser Error/.test(line)
    ? ['PARSE_SYNTAX_ERROR', '42601']
    : /Table with name|schema .* does not exist/i.test(line)
      ? ['TABLE_OR_VIEW_NOT_FOUND', '42P01']
      : /column .* not found/i.test(line)
        ? ['UNRESOLVED_COLUMN.WITH_SUGGESTION', '42703']
        : ['INTERNAL_ERROR', 'XX000'];
  return `[${condition}] ${line}. SQLSTATE: ${state}`;
}
