import type { EventEmitter } from 'node:events';
import type { JsonValue } from '@backstage/types';
import type { Knex } from 'knex';
import { pick } from 'lodash';
import type { Client } from 'pg';
import type { Sides } from './sides';

const SESSION = `
  select current_database() as database, current_schema() as schema,
    current_setting('search_path') as "searchPath",
    current_user as "user", session_user as login,
    current_setting('application_name') as application,
    current_setting('statement_timeout') as "statementTimeout",
    current_setting('lock_timeout') as "lockTimeout",
    current_setting('client_encoding') as encoding`;

/** What pools can be told, under the names that tarn keeps it by. */
const POOL_SETTINGS = [
  'min',
  'max',
  'acquireTimeoutMillis',
  'createTimeoutMillis',
  'destroyTimeoutMillis',
  'idleTimeoutMillis',
  'reapIntervalMillis',
  'createRetryIntervalMillis',
  'propagateCreateError',
];

interface RunningPool {
  client: {
    config: Knex.Config;
    pool?: Record<string, unknown> & { emitter: EventEmitter };
    searchPath?: unknown;
    acquireRawConnection(): Promise<Client>;
    destroyRawConnection(connection: Client): Promise<void>;
  };
}

/** What the client of a plugin and the server say about each other. */
export async function inspected(
  knex: Knex,
): Promise<Record<string, JsonValue>> {
  const { config, pool, searchPath } = (knex as unknown as RunningPool).client;
  const settings = {
    config: plain(config),
    clientSearchPath: plain(searchPath),
    pool: plain(pick(pool, POOL_SETTINGS)),
  };
  if (config.client !== 'pg') return settings;
  return {
    ...settings,
    session: await sessionOf(knex),
    rawSession: await rawSessionOf(knex),
  };
}

/**
 * Hears of what the pool's listeners fail at: left unhandled, as it would be in
 * a backend, it would fail the test instead.
 */
export function overhear(knex: Knex, heard: unknown[]): void {
  const { emitter } = (knex as unknown as RunningPool).client.pool!;
  type Listener = (...event: unknown[]) => Promise<void> | undefined;
  for (const listener of emitter.listeners('createSuccess') as Listener[]) {
    emitter.off('createSuccess', listener as () => void);
    emitter.on('createSuccess', (...event: unknown[]) => {
      void listener(...event)?.catch(error => heard.push(error));
    });
  }
}

export const isClosed = (knex: Knex) =>
  !(knex as unknown as RunningPool).client.pool;

async function sessionOf(knex: Knex): Promise<JsonValue> {
  const { rows } = await knex.raw<{ rows: JsonValue[] }>(SESSION);
  return rows[0];
}

/** As LISTEN of the events backend sees it. */
async function rawSessionOf(knex: Knex): Promise<JsonValue> {
  const { client } = knex as unknown as RunningPool;
  const connection = await client.acquireRawConnection();
  try {
    const { rows } = await connection.query<{ [key: string]: JsonValue }>(
      SESSION,
    );
    return rows[0];
  } finally {
    await client.destroyRawConnection(connection);
  }
}

/** Without what is secret, and with functions as a word. */
function plain(value: unknown): JsonValue {
  const text = JSON.stringify(value ?? null, (key, inner: unknown) => {
    if (key === 'password') return undefined;
    return typeof inner === 'function' ? '<function>' : inner;
  });
  return JSON.parse(text) as JsonValue;
}

/** The databases and schemas that were not there before the row. */
export async function createdObjects({ query }: Sides): Promise<JsonValue> {
  const databases = await query(
    `select datname, pg_get_userbyid(datdba) as owner from pg_database
     where datname not in ('postgres', 'template0', 'template1') order by 1`,
  );
  const found: Record<string, JsonValue> = {};
  for (const { datname, owner } of databases as Record<string, string>[]) {
    const schemas = await query(
      `select nspname as name, pg_get_userbyid(nspowner) as owner from pg_namespace
       where nspname !~ '^pg_' and nspname <> 'information_schema'`,
      [],
      datname,
    );
    found[datname] = {
      owner,
      schemas: Object.fromEntries(
        (schemas as Record<string, string>[]).map(s => [s.name, s.owner]),
      ),
    };
  }
  return found;
}
