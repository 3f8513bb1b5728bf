import { escapeIdentifier } from 'pg';
import { beginAlone } from '../../branches/marks';
import { followedBy, isOwnTable, ownColumns } from '../../undo/undoRules';
import { readDefinition, type Recreation } from '../../undo/recreateTable';
import { restoreTable, type Restored } from '../../undo/restoreTable';
import { inOrderOfKeys, readTables, withCascades } from '../../undo/tables';
import type { OpenDatabase } from '../databaseAccess';
import type { Difference } from './differences';
import type { Sides } from './sides';

export interface RestoredTable extends Restored {
  plugin: string;
  table: string;
  /** It was dropped, and is there again. */
  recreated: boolean;
}

interface Group {
  plugin: string;
  schema: string;
  tables: Difference[];
}

/**
 * Brings back what is gone: one transaction for each database, and none of
 * them ends before all that is to be done is done.
 *
 * @param replace - whether changed rows are set back, too.
 */
export async function restore(
  sides: Sides,
  differences: readonly Difference[],
  replace: boolean,
  tell: (line: string) => void,
): Promise<RestoredTable[]> {
  const databases = [...new Set(differences.map(it => it.database))];
  const done: RestoredTable[] = [];
  const opened: OpenDatabase[] = [];
  try {
    for (const database of databases) {
      await sides.prove(database);
      const now = await sides.now.open(database);
      const then = await sides.then.open(database);
      opened.push(now);
      await beginAlone(now);
      const here = differences.filter(it => it.database === database);
      for (const group of groupsOf(here)) {
        done.push(...(await restoreGroup(then, now, group, replace, tell)));
      }
      // Deferred constraints and triggers have their say before the first end.
      await now.rows('SET CONSTRAINTS ALL IMMEDIATE');
    }
    for (const now of opened) await now.rows('COMMIT');
    return done;
  } catch (error) {
    // The connection may be what failed.
    for (const now of opened) await now.rows('ROLLBACK').catch(() => {});
    throw error;
  }
}

const groupsOf = (differences: readonly Difference[]): Group[] =>
  [...new Set(differences.map(({ schema }) => schema))].map(schema => {
    const tables = differences.filter(it => it.schema === schema);
    return { schema, plugin: tables[0].plugin, tables };
  });

async function restoreGroup(
  then: OpenDatabase,
  now: OpenDatabase,
  { plugin, schema, tables: chosen }: Group,
  replace: boolean,
  tell: (line: string) => void,
): Promise<RestoredTable[]> {
  // For the triggers of the plugin; Postgres's own names still come first.
  await now.rows(`SET LOCAL search_path TO ${escapeIdentifier(schema)}`);
  const old = await readTables(schema, then);
  const dropped = new Set(
    chosen.filter(it => !it.tables.now).map(it => it.table),
  );
  const definitions: Recreation[] = [];
  for (const table of old.filter(it => dropped.has(it.name))) {
    definitions.push(await readDefinition(table, then));
  }
  for (const sql of definitions.flatMap(it => it.create)) await now.rows(sql);

  const current = await readTables(schema, now);
  const names = withCascades(
    chosen.map(it => it.table),
    old,
  );
  const done: RestoredTable[] = [];
  for (const table of inOrderOfKeys(old)) {
    const same = current.find(it => it.name === table.name);
    if (!names.includes(table.name) || !same) continue;
    if (isOwnTable(plugin, table.name)) continue;
    tell(`  ${plugin}  ${table.name}`);
    const following = followedBy(plugin, table.name);
    const parents = [old, current].map(tables =>
      tables.find(it => it.name === following?.table),
    );
    const restored = await restoreTable({
      then: { table, session: then },
      now: { table: same, session: now },
      own: ownColumns(plugin, table.name),
      // Not those of a table that only goes with another one.
      replace: replace && chosen.some(it => it.table === table.name),
      followed:
        following && parents[0] && parents[1]
          ? {
              column: following.column,
              then: parents[0],
              now: parents[1],
              own: ownColumns(plugin, following.table),
            }
          : undefined,
    });
    const recreated = dropped.has(table.name);
    if (recreated || restored.inserted > 0 || restored.replaced > 0) {
      done.push({ plugin, table: table.name, recreated, ...restored });
    }
  }
  for (const sql of definitions.flatMap(it => it.finish)) await now.rows(sql);
  return done;
}
