import { setTimeout as sleep } from 'node:timers/promises';
import { LoggerService } from '@backstage/backend-plugin-api';
import type { Knex } from 'knex';
import { escapeIdentifier } from 'pg';
import type { ConnectionTarget } from './postgresFaults';

export interface MigrationOptions {
  /** How long to wait for the migrations of another process. */
  patienceMs: number;
  target: ConnectionTarget;
  logger: LoggerService;
}

/** A number of our own: advisory locks are shared by all of a database. */
const MIGRATION_TABLES_LOCK = 7_214_096_233;

const POLL_INTERVAL_MS = 500;

/**
 * Lets processes that migrate one database at the same time take turns, where
 * Knex fails all but one: those that meet while it makes its tables, and those
 * that meet at migrations without a transaction. Two that each put a row into
 * its lock table would even fail for ever, since two rows count as locked.
 */
export function takeTurnsAtMigrations(
  knex: Knex,
  options: MigrationOptions,
): void {
  const stock = Object.getOwnPropertyDescriptor(knex, 'migrate')!;
  Object.defineProperty(knex, 'migrate', {
    configurable: true,
    get: () => {
      const migrator = stock.get!.call(knex) as Knex.Migrator;
      const latest = migrator.latest.bind(migrator);
      migrator.latest = async config => {
        await makeMigrationTables(knex, config);
        const lockTable = lockTableOf(knex, config);
        return inTurn(() => latest(config), lockTable, options);
      };
      return migrator;
    },
  });
}

const makeMigrationTables = (knex: Knex, config?: Knex.MigratorConfig) =>
  knex.transaction(async trx => {
    await trx.raw('SELECT pg_advisory_xact_lock(?)', [MIGRATION_TABLES_LOCK]);
    // Knex makes them when it is asked what there is to migrate.
    await trx.migrate.list(config);
  });

async function inTurn(
  migrate: () => Promise<unknown>,
  lockTable: string,
  { patienceMs, target, logger }: MigrationOptions,
): Promise<unknown> {
  const begin = performance.now();
  const place = `database ${escapeIdentifier(target.database)}`;
  for (let waiting = false; ; waiting = true) {
    try {
      return await migrate();
    } catch (error) {
      if (!isLocked(error)) throw error;
      if (performance.now() - begin > patienceMs) {
        error.message +=
          `. If no other process migrates ${place}, then one was killed while ` +
          `it did. Run there: DELETE FROM ${lockTable}; ` +
          `INSERT INTO ${lockTable} (is_locked) VALUES (0);`;
        throw error;
      }
    }
    if (!waiting) {
      logger.info(
        `Waiting for another process to migrate ${place} (${lockTable})`,
      );
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

const isLocked = (error: unknown): error is Error =>
  error instanceof Error && error.name === 'MigrationLocked';

function lockTableOf(knex: Knex, config?: Knex.MigratorConfig): string {
  const { config: settings } = knex.client as { config: Knex.Config };
  const { migrations, searchPath } = settings;
  const { tableName = 'knex_migrations', schemaName } = {
    ...migrations,
    ...config,
  };
  const schema = schemaName ?? [searchPath].flat()[0];
  return [schema, `${tableName}_lock`]
    .filter(name => name !== undefined)
    .map(escapeIdentifier)
    .join('.');
}
