import { escapeIdentifier, escapeLiteral } from 'pg';
import { LakebaseError } from '../errors';
import {
  inTransaction,
  MARKS,
  proveCopy,
  readMark,
  type Session,
} from './marks';
import {
  CORE_TABLES,
  KNEX_TABLE,
  PLUGIN_TABLES,
  type ScrubRule,
  SECRET_COLUMN,
} from './scrubRules';

/** One database of a branch, and whose schemas are in it. */
export interface ScrubbedDatabase {
  name: string;
  /** The plugin whose tables are in a schema; undefined for no plugin's. */
  pluginOf: (schema: string) => string | undefined;
  copy: Session;
  /** The database of the same name on the branch that the copy was made from. */
  source: Session;
}

/** What became of a table. */
export interface ScrubbedTable {
  database: string;
  schema: string;
  table: string;
  plugin: string;
  /** Rows that went or changed. */
  rows: number;
  why: string;
}

interface Table {
  schema: string;
  table: string;
  columns: string[];
}

interface Step extends Table {
  plugin: string;
  rule: ScrubRule;
}

const TABLES = `
  SELECT n.nspname AS schema, c.relname AS table,
         pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) AS columns
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute a
    ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%'
    AND n.nspname NOT IN ('information_schema', '${MARKS}')
    -- Those of an extension are the platform's.
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.objid = c.oid AND d.deptype = 'e')
  GROUP BY 1, 2 ORDER BY 1, 2`;

const tableName = ({ schema, table }: Pick<Table, 'schema' | 'table'>) =>
  `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;

/**
 * Takes out of a database what must not be on a developer's machine, or would
 * act on the world again when a portal starts on the copy. All of it happens or
 * nothing does.
 *
 * @param allowed - plugins whose unknown tables are left as they are.
 * @throws LakebaseError `branch-refused` where the database is not that of a
 * copy, `scrub-refused` where there are tables that nobody has looked at.
 */
export async function scrubDatabase(
  database: ScrubbedDatabase,
  allowed: readonly string[],
): Promise<ScrubbedTable[]> {
  const tables = await database.copy.rows<Table>(TABLES);
  const steps = plan(database, tables, allowed);
  await proveCopy(database.name, database.copy, database.source);
  return inTransaction(database.copy, async () => {
    const counts: number[] = [];
    for (const step of steps) counts.push(await countRows(database.copy, step));
    await apply(database.copy, steps);
    await database.copy.rows(
      `INSERT INTO ${MARKS}.marks (name, value) VALUES ('scrubbed', 'true')
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    );
    return steps.map(({ schema, table, plugin, rule }, index) => ({
      database: database.name,
      schema,
      table,
      plugin,
      rows: counts[index],
      why: rule.why,
    }));
  });
}

/** Whether a database was scrubbed, here or where it was copied from. */
export const isScrubbed = async (session: Session): Promise<boolean> =>
  (await readMark(session, 'scrubbed')) !== undefined;

function plan(
  { name, pluginOf }: ScrubbedDatabase,
  tables: Table[],
  allowed: readonly string[],
): Step[] {
  const steps: Step[] = [];
  const suspects: string[] = [];
  for (const found of tables) {
    const { schema, table, columns } = found;
    if (KNEX_TABLE.test(table)) continue;
    const plugin = pluginOf(schema) ?? schema;
    const known =
      CORE_TABLES.tables[table] ?? PLUGIN_TABLES[plugin]?.tables[table];
    if (known === 'keep') continue;
    if (known) steps.push({ ...found, plugin, rule: known });
    else if (!allowed.includes(plugin)) {
      const secret = columns.find(column => SECRET_COLUMN.test(column));
      if (secret) suspects.push(`${plugin}: ${schema}.${table} (${secret})`);
    }
  }
  if (suspects.length === 0) return steps;
  throw new LakebaseError('scrub-refused', {
    problem:
      `Database ${name} has tables that this version does not know, and that ` +
      `may hold secrets: ${suspects.join(', ')}`,
    remedy:
      'Look at them, and say --allow-unknown PLUGIN for each plugin whose ' +
      'tables may stay as they are; nothing was changed',
  });
}

/** How many rows a rule is about. */
async function countRows(session: Session, step: Step): Promise<number> {
  const { condition } = changeOf(step);
  const [{ count }] = await session.rows<{ count: string }>(
    `SELECT count(*) FROM ${tableName(step)} ${condition}`,
  );
  return Number(count);
}

async function apply(session: Session, steps: Step[]): Promise<void> {
  const emptied = steps.filter(({ rule }) => 'delete' in rule);
  if (emptied.length > 0) {
    // At once, since rows of one table may refer to those of another. Numbers
    // begin anew: the events plugin takes those of an empty table for lost.
    const names = emptied.map(tableName).join(', ');
    await session.rows(`TRUNCATE ${names} RESTART IDENTITY`);
  }
  for (const step of steps) {
    const { sets, condition } = changeOf(step);
    if (sets.length === 0) continue;
    await session.rows(
      `UPDATE ${tableName(step)} SET ${sets.join(', ')} ${condition}`,
    );
  }
}

/** What is set in a table, and in which rows; of older versions, less. */
function changeOf({ rule, columns }: Step) {
  if ('delete' in rule) return { sets: [], condition: '' };
  const { clear, end } = rule;
  const cleared = clear
    .filter(column => columns.includes(column))
    .map(column => escapeIdentifier(column));
  const sets = cleared.map(column => `${column} = NULL`);
  const conditions = cleared.map(column => `${column} IS NOT NULL`);
  if (columns.includes(end.column)) {
    const column = escapeIdentifier(end.column);
    const open = `${column} IN (${end.from.map(escapeLiteral).join(', ')})`;
    sets.push(
      `${column} = CASE WHEN ${open} THEN ${escapeLiteral(end.to)} ELSE ${column} END`,
    );
    conditions.push(open);
  }
  return { sets, condition: `WHERE ${conditions.join(' OR ') || 'false'}` };
}
