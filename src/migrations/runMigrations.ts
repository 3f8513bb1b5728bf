import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Knex } from 'knex';
import type { MigrationFolder } from './installedMigrations';
import type { MigrationSet } from './migrationPlan';

export interface MigrationFile {
  up?: (knex: Knex) => PromiseLike<unknown>;
  down?: (knex: Knex) => PromiseLike<unknown>;
  config?: { transaction?: boolean };
}

export type Direction = 'up' | 'down';

/** What happens around each migration, on the connection that it has. */
export interface Hooks {
  before(file: string, direction: Direction, knex: Knex): Promise<void>;
  after(file: string, direction: Direction, knex: Knex): Promise<void>;
}

export function loadMigration(
  { directory }: MigrationFolder,
  file: string,
): MigrationFile {
  const path = join(directory, file);
  return createRequire(path)(path) as MigrationFile;
}

/** Whether Knex runs it in a transaction. */
export const isTransactional = ({ config }: MigrationFile) =>
  config?.transaction !== false;

/**
 * Runs what is pending, as the plugin would at its start: with Knex, and in one
 * transaction unless one of them does without.
 */
export async function migrateUp(
  knex: Knex,
  set: MigrationSet,
  hooks: Hooks,
): Promise<void> {
  await knex.migrate.latest(settingsOf(set, hooks));
}

/** Takes back the newest one that is applied, if the folder has it. */
export async function migrateDown(
  knex: Knex,
  set: MigrationSet,
  hooks: Hooks,
): Promise<void> {
  await knex.migrate.down(settingsOf(set, hooks));
}

function settingsOf(
  { folder, schema, table }: MigrationSet,
  hooks: Hooks,
): Knex.MigratorConfig {
  return {
    tableName: table,
    schemaName: schema,
    migrationSource: {
      getMigrations: () => Promise.resolve(folder.files),
      getMigrationName: (file: string) => file,
      getMigration: (file: string) =>
        Promise.resolve(
          withHooks(loadMigration(folder, file), file, hooks) as Knex.Migration,
        ),
    },
  };
}

/** What a file lacks is missing here, too: Knex complains of that itself. */
function withHooks(
  migration: MigrationFile,
  file: string,
  hooks: Hooks,
): MigrationFile {
  const around =
    (direction: Direction, run: NonNullable<MigrationFile['up']>) =>
    async (knex: Knex) => {
      await hooks.before(file, direction, knex);
      await run(knex);
      await hooks.after(file, direction, knex);
    };
  const { up, down, config } = migration;
  return {
    config,
    ...(up && { up: around('up', up) }),
    ...(down && { down: around('down', down) }),
  };
}
