import type { Knex } from 'knex';
import { onOneLine } from '../texts';
import { BlockedTables } from './blockedTables';
import { changesSince, readChanges } from './changedRows';
import type { IndexAhead } from './indexesAhead';
import type { MigrationSet } from './migrationPlan';
import type { MigrationReport } from './report';
import {
  type Hooks,
  isTransactional,
  loadMigration,
  migrateUp,
} from './runMigrations';
import { dataLost } from './snapshot';
import { look, type RehearsalOptions, type Stage } from './stage';
import { StatementLog } from './statementLog';
import { goBackAndForth } from './wayBack';
import { WorkTime } from './workTime';

export interface SetReport {
  set: MigrationSet;
  migrations: MigrationReport[];
  /** Why Knex did not even begin. */
  error?: string;
  /** What can be built before the upgrade. */
  ahead: IndexAhead[];
}

/**
 * Runs all that is pending in one plugin's database, all of it at once as at a
 * start; then each back, and all again. It is to be called on a copy only.
 */
export async function rehearse(options: RehearsalOptions): Promise<SetReport> {
  const { set, knex, clock } = options;
  const time = new WorkTime(clock);
  const log = new StatementLog(knex, time);
  const stage = { ...options, time, log, migrations: [], snapshots: [] };
  const error = await goUp(stage);
  const { migrations } = stage as Stage;
  const failed = error !== undefined || migrations.some(it => it.error);
  const ahead = failed ? [] : await goBackAndForth(stage);
  return { set, migrations, error, ahead };
}

/** @returns why it did not begin. */
async function goUp(stage: Stage): Promise<string | undefined> {
  const { set, knex, clock, time, log, migrations, snapshots } = stage;
  const first = await look(stage, knex);
  snapshots.push(first);
  const probe = new BlockedTables({
    schema: set.schema,
    tables: first.tables.map(({ name }) => name),
    queries: stage.probe,
    time,
    clock,
    processes: () => log.processes,
  });
  const begun = { at: 0 };
  probe.start();
  try {
    await migrateUp(knex, set, measuring(stage, probe, begun));
    return undefined;
  } catch (error) {
    const last = migrations.at(-1);
    if (!last) return onOneLine(error);
    last.ms = time.now() - begun.at;
    last.error = onOneLine(error);
    return undefined;
  } finally {
    log.sink = undefined;
    await probe.stop();
  }
}

function measuring(
  stage: Stage,
  probe: BlockedTables,
  begun: { at: number },
): Hooks {
  const { set, onBegin, time, log, migrations, snapshots } = stage;
  const changes = (knex: Knex) =>
    time.looking(async () => {
      if (!knex.isTransaction) await log.flushCounts();
      return readChanges(set.schema, knex);
    });
  let before: Awaited<ReturnType<typeof changes>>;
  return {
    before: async (file, direction, knex) => {
      onBegin(file, direction);
      const report: MigrationReport = {
        file,
        transactional: isTransactional(loadMigration(set.folder, file)),
        ms: 0,
        statements: [],
        blocked: [],
        changes: [],
        lost: [],
      };
      before = await changes(knex);
      migrations.push(report);
      log.sink = report.statements;
      // Its locks last until the transaction ends, and so does this.
      probe.sink = report;
      begun.at = time.now();
    },
    after: async (_file, _direction, knex) => {
      const report = migrations.at(-1)!;
      report.ms = time.now() - begun.at;
      const now = await look(stage, knex);
      report.changes = changesSince(before, await changes(knex));
      report.lost = dataLost(snapshots.at(-1)!, now);
      snapshots.push(now);
    },
  };
}
