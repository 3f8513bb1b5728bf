import type { Knex } from 'knex';
import type { Clock } from '../time/clock';
import type { MigrationSet } from './migrationPlan';
import { type Queries, queriesOf } from './queries';
import type { MigrationReport } from './report';
import type { Direction } from './runMigrations';
import { type Snapshot, takeSnapshot } from './snapshot';
import type { StatementLog } from './statementLog';
import type { WorkTime } from './workTime';

export interface RehearsalOptions {
  set: MigrationSet;
  knex: Knex;
  /** A connection of its own, for the tries. */
  probe: Queries;
  clock: Clock;
  /** Hears which one begins. */
  onBegin: (file: string, direction: Direction) => void;
}

/** What the parts of one rehearsal share. */
export interface Stage extends RehearsalOptions {
  time: WorkTime;
  log: StatementLog;
  migrations: MigrationReport[];
  /** Before the first migration, and after each. */
  snapshots: Snapshot[];
}

export function look(stage: Stage, knex: Knex): Promise<Snapshot> {
  const { set, time, log } = stage;
  const { sink } = log;
  return time.looking(async () => {
    log.sink = undefined;
    const snapshot = await takeSnapshot(set.schema, queriesOf(knex));
    log.sink = sink;
    return snapshot;
  });
}
