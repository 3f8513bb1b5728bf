import { maxBy } from 'lodash';
import type { MigrationFolder } from './installedMigrations';
import type { AppliedMigration, MigrationTable } from './migrationTables';

/** The migrations of one package in one plugin's database. */
export interface MigrationSet {
  plugin: string;
  database: string;
  schema: string;
  table: string;
  folder: MigrationFolder;
  applied: AppliedMigration[];
  /** Files without a row. */
  pending: string[];
  /** Rows without a file, for which Knex refuses to begin. */
  unknown: string[];
}

export interface MigrationPlan {
  sets: MigrationSet[];
  /** What nothing can be said about, and why. */
  notCovered: string[];
}

/** Where a plugin has its tables by now. */
export interface PluginPlace {
  plugin: string;
  database: string;
  schema: string;
}

/** What Knex calls its table unless a plugin tells it otherwise. */
const USUAL_TABLE = 'knex_migrations';

/**
 * Says which installed files belong to which table: by the names that both
 * have. What a package says of itself counts only for what was never applied,
 * and only where its plugin has a place already.
 */
export function planMigrations(
  folders: readonly MigrationFolder[],
  tables: readonly MigrationTable[],
  places: readonly PluginPlace[],
): MigrationPlan {
  const sets: MigrationSet[] = [];
  const notCovered: string[] = [];
  for (const table of tables) {
    const best = bestMatch(folders, table);
    if (typeof best === 'string') notCovered.push(best);
    else if (best) sets.push(toSet(best, table));
  }
  const used = new Set(sets.map(({ folder }) => folder));
  for (const folder of folders.filter(it => !used.has(it))) {
    const place = places.find(({ plugin }) => plugin === folder.pluginId);
    const taken = sets.find(
      set => set.plugin === folder.pluginId && set.table === USUAL_TABLE,
    );
    if (!place || taken) notCovered.push(whyNot(folder, taken));
    else
      sets.push(toSet(folder, { ...place, table: USUAL_TABLE, applied: [] }));
  }
  return {
    sets: sets.sort(
      (a, b) => a.plugin.localeCompare(b.plugin) || firstTime(a) - firstTime(b),
    ),
    notCovered,
  };
}

function bestMatch(
  folders: readonly MigrationFolder[],
  { database, schema, table, plugin, applied }: MigrationTable,
): MigrationFolder | string | undefined {
  if (applied.length === 0) return undefined;
  const names = new Set(applied.map(({ name }) => name));
  const matches = folders
    .map(folder => ({
      folder,
      count: folder.files.filter(file => names.has(file)).length,
    }))
    .filter(({ count }) => count > 0);
  const most = maxBy(matches, 'count');
  const where = `${plugin}: ${database}, ${schema}.${table}`;
  if (!most) {
    return `${where}: no installed package has its ${applied.length} migrations`;
  }
  const equal = matches.filter(({ count }) => count === most.count);
  if (equal.length === 1) return most.folder;
  const which = equal.map(({ folder }) => folder.directory).join(', ');
  return `${where}: its migrations are in several folders: ${which}`;
}

function toSet(
  folder: MigrationFolder,
  { plugin, database, schema, table, applied }: MigrationTable,
): MigrationSet {
  const done = new Set(applied.map(({ name }) => name));
  return {
    plugin,
    database,
    schema,
    table,
    folder,
    applied,
    pending: folder.files.filter(file => !done.has(file)),
    unknown: [...done].filter(name => !folder.files.includes(name)),
  };
}

function whyNot(folder: MigrationFolder, taken?: MigrationSet): string {
  const { package: name, files, pluginId } = folder;
  const many =
    files.length === 1
      ? 'its migration was'
      : `its ${files.length} migrations were`;
  const never = `${name}: ${many} never applied here`;
  if (taken) {
    return `${never}, and ${taken.table} of plugin ${taken.plugin} is that of ${taken.folder.package}`;
  }
  return pluginId
    ? `${never}; plugin ${pluginId} has no tables yet, and makes them at its first start`
    : `${never}; the package does not say whose database they are for`;
}

const firstTime = ({ applied }: MigrationSet) =>
  applied[0]?.at?.getTime() ?? Infinity;
