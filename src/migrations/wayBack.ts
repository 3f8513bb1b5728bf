import { onOneLine } from '../texts';
import {
  buildAhead,
  candidatesOf,
  drop,
  type IndexAhead,
} from './indexesAhead';
import { migrateDown, migrateUp } from './runMigrations';
import { dataLost, differences, type Snapshot } from './snapshot';
import { look, type Stage } from './stage';
import type { LoggedStatement } from './statementLog';

/**
 * Takes back what was rehearsed, the newest first, until one cannot be; then
 * runs all again, with the slow indexes built ahead where that helps.
 *
 * @returns those that do.
 */
export async function goBackAndForth(stage: Stage): Promise<IndexAhead[]> {
  for (const index of [...stage.migrations.keys()].reverse()) {
    await goBack(stage, index);
    if (stage.migrations[index].down?.error !== undefined) break;
  }
  const { knex, migrations } = stage;
  const built = await buildAhead(knex, candidatesOf(migrations));
  let error = await goForth(stage);
  if (error === undefined) {
    return built.map(({ file, sql, msBefore }) => {
      const { again } = migrations.find(it => it.file === file)!;
      return { file, sql, msBefore, msAfter: again?.ms ?? msBefore };
    });
  }
  if (built.length > 0) {
    // It does not expect them to be there.
    await drop(knex, built);
    error = await goForth(stage);
  }
  const failed = migrations.find(it => it.down && !it.again);
  if (failed && error !== undefined) {
    failed.again = { ms: 0, error, differences: [], lost: [] };
  }
  return [];
}

async function goBack(stage: Stage, index: number): Promise<void> {
  const { set, knex, onBegin, time, log, snapshots } = stage;
  const statements: LoggedStatement[] = [];
  let begin = time.now();
  let ms = 0;
  let after: Snapshot | undefined;
  let error: string | undefined;
  try {
    await migrateDown(knex, set, {
      before: (file, direction) => {
        onBegin(file, direction);
        log.sink = statements;
        begin = time.now();
        return Promise.resolve();
      },
      after: async (_file, _direction, connection) => {
        ms = time.now() - begin;
        log.sink = undefined;
        after = await look(stage, connection);
      },
    });
  } catch (failure) {
    error = onOneLine(failure);
  } finally {
    log.sink = undefined;
  }
  stage.migrations[index].down = {
    ms,
    error,
    statements: statements.length,
    differences: after ? differences(snapshots[index], after) : [],
  };
}

/** @returns why it failed. */
async function goForth(stage: Stage): Promise<string | undefined> {
  const { set, knex, onBegin, time, migrations, snapshots } = stage;
  let begin = 0;
  try {
    await migrateUp(knex, set, {
      before: (file, direction) => {
        onBegin(file, direction);
        begin = time.now();
        return Promise.resolve();
      },
      after: async (file, _direction, connection) => {
        const ms = time.now() - begin;
        const now = await look(stage, connection);
        const index = migrations.findIndex(it => it.file === file);
        const then = snapshots[index + 1];
        migrations[index].again = {
          ms,
          differences: differences(then, now),
          lost: dataLost(then, now),
        };
      },
    });
    return undefined;
  } catch (error) {
    return onOneLine(error);
  }
}
