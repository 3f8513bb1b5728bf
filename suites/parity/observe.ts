import { setTimeout } from 'node:timers/promises';
import type { DatabaseService } from '@backstage/backend-plugin-api';
import type { JsonValue } from '@backstage/types';
import type { Knex } from 'knex';
import { createdObjects, inspected, isClosed, overhear } from './inspect';
import type { Row } from './rows';
import { needFilled, Side, Sides, startService } from './sides';

const DEFAULT_PLUGIN = 'catalog';

/** Connections that are being closed are gone by then. */
const CLOSING_MS = 500;

/** How far one side got with a row, and what it looks like from there. */
export interface Observation {
  refused: 'at start' | 'at getClient' | 'at the first query' | 'no';
  /** The message of the refusal: to read, not to compare. */
  because?: string;
  /** Whether it is still refused once its cause has been mended. */
  refusedAfterMending?: boolean;
  state: Record<string, JsonValue | undefined>;
  /** Whether connections outlive the service and its pool. */
  leftOpen: boolean;
}

type Attempt = Omit<Observation, 'leftOpen'>;

/** Runs one row on one side, and leaves the server as it was. */
export async function observe(
  row: Row,
  side: Side,
  sides: Sides,
): Promise<Observation> {
  for (const [database, sql] of row.before ?? []) {
    await sides.query(needFilled(sql, side), [], database);
  }
  // Where Knex repeats the errors of the stock side.
  const { log } = console;
  console.log = () => {};
  try {
    const attempt = await run(row, side, sides);
    const leftOpen = await hasConnections(side, sides);
    return normalised({ ...attempt, leftOpen }, side);
  } finally {
    console.log = log;
    await sides.reset();
  }
}

async function run(row: Row, side: Side, sides: Sides): Promise<Attempt> {
  const { forPlugin, shutdown } = startService(side, row.database);
  const made: Knex[] = [];
  let refused: Attempt['refused'] = 'at start';
  try {
    const database = forPlugin(row.pluginId ?? DEFAULT_PLUGIN);
    const skipMigrations = database.migrations?.skip;
    refused = 'at getClient';
    const knex = await database.getClient().catch(async error => {
      if (row.mend) await mend(row.mend, database, side, sides, made);
      throw error;
    });
    made.push(knex);
    const unhandled: unknown[] = [];
    overhear(knex, unhandled);
    refused = 'at the first query';
    const state = {
      skipMigrations,
      ...(await inspected(knex)),
      created: await createdObjects(sides),
      unhandledRejections: unhandled.length,
    };
    await shutdown();
    const closedAtShutdown = isClosed(knex);
    return { refused: 'no', state: { ...state, closedAtShutdown } };
  } catch (error) {
    const refusedAfterMending =
      row.mend && refused === 'at getClient' ? made.length === 0 : undefined;
    return { refused, because: String(error), refusedAfterMending, state: {} };
  } finally {
    await shutdown();
    // The stock service forgets to.
    for (const knex of made) await knex.destroy();
  }
}

/** An operator removes the cause, and the plugin asks again. */
async function mend(
  statements: string[],
  database: DatabaseService,
  side: Side,
  sides: Sides,
  made: Knex[],
): Promise<void> {
  for (const sql of statements) await sides.query(needFilled(sql, side));
  await database.getClient().then(
    knex => made.push(knex),
    () => {},
  );
}

async function hasConnections(side: Side, sides: Sides): Promise<boolean> {
  const deadline = performance.now() + CLOSING_MS;
  for (;;) {
    const [{ open }] = await sides.query(
      'select count(*)::int as open from pg_stat_activity where usename = $1',
      [side.values.user],
    );
    if (open === 0) return false;
    if (performance.now() > deadline) return true;
    await setTimeout(20);
  }
}

/** Both sides log in at other places as other users, which is no difference. */
function normalised(observation: Observation, side: Side): Observation {
  const { host, port, user } = side.values;
  const words = JSON.stringify(observation, (_, value: unknown) => {
    if (typeof value === 'number') {
      return String(value) === port ? '<port>' : value;
    }
    if (typeof value !== 'string') return value;
    if (value === port) return '<port as text>';
    if (value === host) return '<host>';
    if (value.includes('BEGIN CERTIFICATE')) return '<certificate>';
    return value.replaceAll(user, '<login>');
  });
  return JSON.parse(words) as Observation;
}
