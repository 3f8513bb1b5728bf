import { MARKS } from '../../branches/marks';
import {
  commonColumns,
  commonKey,
  compareTable,
  type Comparison,
} from '../../undo/compareTable';
import { followedBy, isOwnTable, ownColumns } from '../../undo/undoRules';
import { pathOf, readTables, type Table } from '../../undo/tables';
import { ConfigurationError } from '../../errors';
import type { DatabaseAccess, OpenDatabase } from '../databaseAccess';
import { placesOf } from '../places';
import type { Sides } from './sides';

/** What has become of a table since. */
export interface Difference extends Comparison {
  plugin: string;
  database: string;
  schema: string;
  table: string;
  /** What is to be known of it, in words. */
  notes: string[];
  /** On both sides; `now` is missing where it was dropped. */
  tables: { then: Table; now?: Table };
}

const SCHEMAS = `
  SELECT nspname AS name FROM pg_catalog.pg_namespace
  WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', '${MARKS}')
  ORDER BY 1`;

/** A plugin, or one of its tables. */
export interface Choice {
  plugin: string;
  table?: string;
}

export function parseChoice(text: string): Choice {
  const [, plugin, table] = /^([^.]+)(?:\.(.+))?$/.exec(text) ?? [];
  if (plugin) return { plugin, table };
  throw new ConfigurationError(
    `--plugin '${text}' is neither a plugin nor one of its tables`,
    'Give PLUGIN or PLUGIN.TABLE, as in catalog.final_entities',
  );
}

/**
 * Compares the tables that were there then.
 *
 * @throws ConfigurationError where a choice meets none of them.
 */
export async function findDifferences(
  { then, now }: Sides,
  choices: readonly Choice[],
  tell: (line: string) => void,
): Promise<Difference[]> {
  const found: Difference[] = [];
  const met = new Set<Choice>();
  for (const { database, pluginOf } of await placesOf(then)) {
    const old = await then.open(database);
    const current = await now.open(database);
    const schemas = await old.rows<{ name: string }>(SCHEMAS);
    for (const { name: schema } of schemas) {
      const plugin = pluginOf(schema);
      if (plugin === undefined || !isPlugins(then, schema)) continue;
      const mine = choices.filter(it => it.plugin === plugin);
      if (choices.length > 0 && mine.length === 0) continue;
      const there = await readTables(schema, current);
      for (const table of await readTables(schema, old)) {
        const chosen = mine.filter(it => !it.table || it.table === table.name);
        if (choices.length > 0 && chosen.length === 0) continue;
        chosen.forEach(it => met.add(it));
        if (isOwnTable(plugin, table.name)) continue;
        tell(`  ${plugin}  ${table.name}`);
        const same = there.find(({ name }) => name === table.name);
        const sides = { then: table, now: same };
        const own = ownColumns(plugin, table.name);
        const comparison = same
          ? await compareTable(
              { table, session: old },
              { table: same, session: current },
              own,
            )
          : await countDropped(old, table);
        found.push({
          plugin,
          database,
          schema,
          table: table.name,
          ...comparison,
          notes: [
            ...notesOn(sides, own),
            ...noteOnFollowing(plugin, table.name),
          ],
          tables: sides,
        });
      }
    }
  }
  const missed = choices.find(it => !met.has(it));
  if (missed) {
    const { plugin, table } = missed;
    throw new ConfigurationError(
      `There was no ${table ? `table ${table}` : 'table'} of plugin '${plugin}' then`,
      'Leave --plugin out to see all that there was',
    );
  }
  return found;
}

/** In database mode other schemas of a plugin's database are not Backstage's. */
const isPlugins = ({ settings }: DatabaseAccess, schema: string) =>
  settings.schemaMode || schema === 'public';

async function countDropped(
  database: OpenDatabase,
  table: Table,
): Promise<Comparison> {
  const [{ count }] = await database.rows<{ count: number }>(
    `SELECT count(*)::float8 AS count FROM ${pathOf(table)}`,
  );
  return { then: count, now: 0, gone: count, changed: 0, added: 0 };
}

function noteOnFollowing(plugin: string, table: string): string[] {
  const followed = followedBy(plugin, table);
  return followed
    ? [`rows of ${followed.table} that changed since keep theirs`]
    : [];
}

function notesOn(
  { then, now }: Difference['tables'],
  own: readonly string[],
): string[] {
  if (!now) return ['it was dropped'];
  const common = commonColumns(then, now, own);
  const names = (table: Table) =>
    table.columns
      .map(({ name }) => name)
      .filter(name => !own.includes(name) && !common.includes(name));
  const lost = names(then);
  const added = names(now);
  const keyless = commonKey(then, now, own).length === 0;
  return [
    ...(lost.length > 0
      ? [`without ${lost.join(', ')}, which it has no more`]
      : []),
    ...(added.length > 0
      ? [`${added.join(', ')} came since, and is not compared`]
      : []),
    ...(keyless ? ['no key: rows are told apart by all they hold'] : []),
  ];
}
