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
  const { knex, migrations, snapshots } = stage;
  // With each migration applied, after all later ones were taken back.
  const comingBack: Snapshot[] = [];
  let now = snapshots.at(-1);
  for (const index of [...migrations.keys()].reverse()) {
    if (!now) break;
    comingBack[index] = now;
    now = await goBack(stage, index, now);
  }
  const built = await buildAhead(knex, candidatesOf(migrations));
  let error = await goForth(stage, comingBack);
  if (error === undefined) {
    return built
      .map(({ file, sql, msBefore }) => {
        const { again } = migrations.find(it => it.file === file)!;
        return { file, sql, msBefore, msAfter: again?.ms ?? msBefore };
      })
      .filter(({ msAfter, msBefore }) => msAfter < msBefore);
  }
  if (built.length > 0) {
    // It does not expect them to be there.
    await drop(knex, built);
    error = await goForth(stage, comingBack);
  }
  const failed = migrations.find(it => it.down && !it.again);
  if (failed && error !== undefined) {
    failed.again = { ms: 0, error, differences: [], lost: [] };
  }
  return [];
}

/** @returns what is there then; undefined where it failed. */
async function goBack(
  stage: Stage,
  index: number,
  before: Snapshot,
): Promise<Snapshot | undefined> {
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
    differences: after
      ? differencesSince(
          differences(snapshots[index + 1], before),
          differences(snapshots[index], after),
        )
      : [],
  };
  return error === undefined ? after : undefined;
}

/** What came to them with the last step. */
const differencesSince = (before: string[], now: string[]) =>
  now.filter(line => !before.includes(line));

/** @returns why it failed. */
async function goForth(
  stage: Stage,
  comingBack: readonly Snapshot[],
): Promise<string | undefined> {
  const { set, knex, onBegin, time, migrations, snapshots } = stage;
  let begin = 0;
  let left: string[] = [];
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
        const all = differences(snapshots[index + 1], now);
        migrations[index].again = {
          ms,
          differences: differencesSince(left, all),
          lost: dataLost(comingBack[index], now),
        };
        left = all;
      },
    });
    return undefined;
  } catch (error) {
    return onOneLine(error);
  }
}
