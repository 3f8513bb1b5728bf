import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { LoggerService } from '@backstage/backend-plugin-api';
import type { Knex } from 'knex';
import { isNil, isUndefined, omitBy } from 'lodash';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { getPgClient } from '../connections/knexInternals';
import type { Clock } from '../time/clock';
import { freeLock } from './migrationLock';
import { tellingOfSlowness } from './slowMigration';

export interface MigrationOptions {
  /** The plugin whose they are, for messages. */
  owner: string;
  /** Hears how many have run, and how long they took. */
  onMigrated: (count: number, ms: number) => void;
  /** How long to wait for the migrations of another process. */
  patienceMs: number;
  /** Which one it is, for messages. */
  database: string;
  logger: LoggerService;
  clock: Clock;
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
  const { clock, onMigrated } = options;
  const stock = Object.getOwnPropertyDescriptor(knex, 'migrate')!;
  Object.defineProperty(knex, 'migrate', {
    configurable: true,
    get: () => {
      const migrator = stock.get!.call(knex) as Knex.Migrator;
      const latest = migrator.latest.bind(migrator);
      migrator.latest = async given => {
        // Knex would take an undefined setting for one.
        const config = given && omitBy(given, isUndefined);
        const batch = await lastBatch(knex, config).catch(orNull);
        if (batch !== null && (await isUpToDate(migrator, config))) {
          return [batch, []];
        }
        const lockTable = nameLockTable(knex, config);
        const migrate = async () => {
          const begin = clock.monotonic();
          const result = (await tellingOfSlowness(knex, migrator, options, () =>
            latest(config),
          )) as [number, string[]];
          onMigrated(result[1].length, clock.monotonic() - begin);
          return result;
        };
        return inTurn(migrate, lockTable, options);
      };
      return migrator;
    },
  });
}

/**
 * Needs no lock, since completed migrations stay completed. Saves 9 of 13 round
 * trips at most starts. If files are missing, Knex itself reports that.
 */
async function isUpToDate(
  migrator: Knex.Migrator,
  config: Knex.MigratorConfig = {},
): Promise<boolean> {
  const { directory, migrationSource } = config;
  if (typeof directory !== 'string' || migrationSource) return false;

  const [completed, pending] = (await migrator.list(config)) as [
    { name: string }[],
    unknown[],
  ];
  const hasFile = ({ name }: { name: string }) =>
    existsSync(resolve(directory, name));
  return pending.length === 0 && completed.every(hasFile);
}

/** Number of the last batch of migrations; null before the first one. */
async function lastBatch(
  knex: Knex,
  config?: Knex.MigratorConfig,
): Promise<number | null> {
  const { schemaName, tableName } = mergeSettings(knex, config);
  const { 1: answer } = await knex.raw<{
    1: { rows: { batch: number | null }[] };
  }>(
    `${makeTables(schemaName, tableName)};
     SELECT pg_catalog.max(batch) AS batch FROM ${path(schemaName, tableName)}`,
  );
  return answer.rows[0].batch;
}

/** A missing schema or right is Knex's to report, by a statement of its own. */
function orNull(error: Error & { code?: string }): null {
  if (/^(3F|42)/.test(error.code ?? '')) return null;
  throw error;
}

/** Makes Knex's own tables just as Knex does, but in one round trip. */
function makeTables(schemaName: string | undefined, tableName: string): string {
  const [table, lockTable] = [tableName, `${tableName}_lock`];
  const regclass = (name: string) =>
    `pg_catalog.to_regclass(pg_catalog.quote_ident(home) OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) ${escapeLiteral(escapeIdentifier(name))})`;
  const lockPath = path(schemaName, lockTable);
  return `DO $make$
    DECLARE home text := ${schemaName ? escapeLiteral(schemaName) : 'pg_catalog.current_schema()'};
    BEGIN
      IF ${regclass(table)} IS NOT NULL AND ${regclass(lockTable)} IS NOT NULL
      THEN
        IF EXISTS (SELECT FROM ${lockPath}) THEN RETURN; END IF;
      END IF;
      PERFORM pg_catalog.pg_advisory_xact_lock(${MIGRATION_TABLES_LOCK});
      CREATE TABLE IF NOT EXISTS ${path(schemaName, table)} (
        id serial PRIMARY KEY, name varchar(255), batch integer,
        migration_time timestamptz);
      CREATE TABLE IF NOT EXISTS ${lockPath} (
        index serial PRIMARY KEY, is_locked integer);
      INSERT INTO ${lockPath} (is_locked)
        SELECT 0 WHERE NOT EXISTS (SELECT FROM ${lockPath});
    END $make$`;
}

async function inTurn(
  migrate: () => Promise<unknown>,
  lockTable: string,
  { patienceMs, database, logger, clock }: MigrationOptions,
): Promise<unknown> {
  const begin = clock.monotonic();
  const place = `database ${escapeIdentifier(database)}`;
  for (let waiting = false; ; waiting = true) {
    try {
      return await migrate();
    } catch (error) {
      if (!isLocked(error)) throw error;
      if (clock.monotonic() - begin > patienceMs) {
        error.message +=
          `. If no other process migrates ${place}, then one was killed while ` +
          `it did. Run there: ${freeLock(lockTable)}`;
        throw error;
      }
    }
    if (!waiting) {
      logger.info(
        `Waiting for another process to migrate ${place} (${lockTable})`,
      );
    }
    await clock.pause(POLL_INTERVAL_MS);
  }
}

const isLocked = (error: unknown): error is Error =>
  error instanceof Error && error.name === 'MigrationLocked';

function mergeSettings(knex: Knex, config?: Knex.MigratorConfig) {
  const { migrations } = getPgClient(knex).config;
  return { tableName: 'knex_migrations', ...migrations, ...config };
}

function nameLockTable(knex: Knex, config?: Knex.MigratorConfig): string {
  const { searchPath } = getPgClient(knex).config;
  const { schemaName, tableName } = mergeSettings(knex, config);
  return path(schemaName ?? [searchPath].flat()[0], `${tableName}_lock`);
}

const path = (...names: (string | undefined)[]) =>
  names
    .filter(name => !isNil(name))
    .map(escapeIdentifier)
    .join('.');
