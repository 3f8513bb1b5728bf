import { setTimeout } from 'node:timers/promises';
import {
  type Emulator,
  type PostgresServer,
  startEmulator,
} from '../../emulator';
import {
  type Contender,
  type PluginDatabase,
  type Running,
  type Settings,
  targetOf,
} from '../../testbed/contenders';
import { setDateRight } from './shiftedDate';

export const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** What fails later than this is told as waiting. */
const PATIENCE_MS = 4_000;

/** One contender on an emulator of its own, while something goes wrong. */
export class Situation {
  static async run(
    postgres: PostgresServer,
    contender: Contender,
    settings: Partial<Settings>,
    experiment: (situation: Situation) => Promise<string>,
  ): Promise<string> {
    const emulator = await startEmulator({
      postgres,
      workspaceTokenLifeMs: DAY_MS,
    });
    const running = await contender.start(await targetOf(emulator), {
      poolMax: 5,
      idleTimeoutMs: DAY_MS,
      maxConnectionAgeMs: DAY_MS,
      ...settings,
    });
    const situation = new Situation(emulator, running);
    try {
      return await experiment(situation);
    } finally {
      setDateRight();
      emulator.controlPlane.recover();
      emulator.gateway.stall(false);
      await Promise.race([
        running.stop().catch(() => {}),
        setTimeout(PATIENCE_MS),
      ]);
      await emulator.stop();
    }
  }

  private constructor(
    readonly emulator: Emulator,
    readonly running: Running,
  ) {}

  open(pluginId: string): Promise<PluginDatabase> {
    return this.running.open(pluginId);
  }

  /** A plugin with so many open connections. */
  async pluginWith(connections: number): Promise<PluginDatabase> {
    const database = await this.open('catalog');
    await inParallel(database, connections);
    return database;
  }

  get mints(): number {
    return this.emulator.controlPlane.count('credentials', { status: 200 });
  }
}

/** Runs queries at once, so that each takes a connection of its own. */
export async function inParallel(
  database: PluginDatabase,
  count: number,
): Promise<string> {
  return outcomes(
    Array.from({ length: count }, () =>
      database.query('select pg_sleep(0.05)'),
    ),
  );
}

/** How many failed, and how many have no answer yet. */
export async function outcomes(queries: Promise<unknown>[]): Promise<string> {
  const over = setTimeout(PATIENCE_MS, 'waits' as const);
  const ends = await Promise.all(
    queries.map(query =>
      Promise.race([
        query.then(
          () => 'works' as const,
          () => 'fails' as const,
        ),
        over,
      ]),
    ),
  );
  const count = (end: (typeof ends)[number]) =>
    ends.filter(each => each === end).length;
  const waiting = count('waits');
  return (
    `${count('fails')} of ${queries.length} queries failed` +
    (waiting ? `, ${waiting} hung` : '')
  );
}
