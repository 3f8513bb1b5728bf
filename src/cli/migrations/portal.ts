import type { Knex } from 'knex';
import { partition, uniq } from 'lodash';
import { LoggerService } from '@backstage/backend-plugin-api';
import { LakebaseEndpoint } from '../../lakebaseEndpoint';
import type { MigrationFolder } from '../../migrations/installedMigrations';
import {
  type MigrationPlan,
  planMigrations,
  type PluginPlace,
} from '../../migrations/migrationPlan';
import {
  type MigrationTable,
  readMigrationTables,
} from '../../migrations/migrationTables';
import { baseOf, type Project } from '../branch/project';
import type { DatabaseAccess } from '../databaseAccess';
import { openIfThere, placesOf } from '../places';
import type { Terminal } from '../terminal';

/** The databases of the plugins on one branch, as a backend there has them. */
export interface Portal {
  /** For what only looks. */
  access: DatabaseAccess;
  /** @throws LakebaseError */
  plan(folders: readonly MigrationFolder[]): Promise<MigrationPlan>;
  /**
   * The pool that the plugin would get.
   *
   * @throws LakebaseError
   */
  knexOf(pluginId: string): Promise<Knex>;
  /** Ends what is under way, too. */
  close(): Promise<void>;
}

export function openPortal(
  project: Project,
  { name, host }: { name: string; host: string },
  { error, clock }: Terminal,
): Portal {
  const settings = project.settings(name, host);
  const access = project.access(name, host);
  const endpoint = new LakebaseEndpoint({
    settings: baseOf(settings),
    schemaMode: settings.schemaMode,
    logger: warningsOnly(error),
    clock,
  });
  return {
    access,
    plan: async folders => {
      const { tables, places } = await readPlaces(access);
      const { sets, notCovered } = planMigrations(folders, tables, places);
      // What it once had here is not what it uses.
      const [here, elsewhere] = partition(
        sets,
        ({ plugin }) => settings.forPlugin(plugin)?.endpoint.base,
      );
      const others = uniq(elsewhere.map(({ plugin }) => plugin)).map(
        plugin => `${plugin}: by its own block its database is not this one`,
      );
      return { sets: here, notCovered: [...notCovered, ...others] };
    },
    knexOf: pluginId => endpoint.getClient(settings.forPlugin(pluginId)!),
    close: async () => {
      await Promise.all([access.close(), endpoint.stop()]);
    },
  };
}

const SCHEMAS = `SELECT nspname AS name FROM pg_catalog.pg_namespace`;

async function readPlaces(access: DatabaseAccess) {
  const tables: MigrationTable[] = [];
  const places: PluginPlace[] = [];
  for (const { database, pluginOf } of await placesOf(access)) {
    const opened = await openIfThere(access, database);
    if (!opened) continue;
    tables.push(...(await readMigrationTables(database, pluginOf, opened)));
    const schemas = await opened.rows<{ name: string }>(SCHEMAS);
    const { schemaMode } = access.settings;
    for (const { name: schema } of schemas) {
      if (!schemaMode && schema !== 'public') continue;
      const plugin = pluginOf(schema);
      if (plugin !== undefined) places.push({ plugin, database, schema });
    }
  }
  return { tables, places };
}

function warningsOnly(tell: (line: string) => void): LoggerService {
  const logger: LoggerService = {
    error: tell,
    warn: tell,
    info: () => {},
    debug: () => {},
    child: () => logger,
  };
  return logger;
}
