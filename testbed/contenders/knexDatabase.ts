import type { Knex } from 'knex';
import type { PluginDatabase, Running, Settings, Target } from './contender';

export function knexDatabase(knex: Knex): PluginDatabase {
  return {
    knex,
    query: async sql => {
      const { rows } = await knex.raw<{ rows: Record<string, unknown>[] }>(sql);
      return rows;
    },
    close: () => knex.destroy(),
  };
}

/** What Backstage calls the connections of a plugin, and so do all here. */
export const applicationName = (pluginId: string) =>
  `backstage_plugin_${pluginId}`;

/** A connection without its password. */
export function connectionOf(target: Target) {
  const { host, port, database, clientId: user, ca } = target;
  return { host, port, database, user, ssl: { ca } };
}

/** Those whose plugins share nothing. */
export function separateKnexes(
  create: (pluginId: string) => Knex | Promise<Knex>,
): Running {
  const opened: Knex[] = [];
  return {
    open: async pluginId => {
      const knex = await create(pluginId);
      opened.push(knex);
      return knexDatabase(knex);
    },
    stop: async () => {
      await Promise.all(opened.map(knex => knex.destroy()));
    },
  };
}

/** Of stock Knex, which would take `undefined` for a value. */
export function poolOf(settings: Settings): Record<string, number> {
  const { poolMax, maxConnectionAgeMs, idleTimeoutMs, connectTimeoutMs } =
    settings;
  return {
    min: 0,
    max: poolMax,
    ...(maxConnectionAgeMs && {
      maxConnectionLifetimeMillis: maxConnectionAgeMs,
    }),
    ...(idleTimeoutMs && { idleTimeoutMillis: idleTimeoutMs }),
    ...(connectTimeoutMs && { createTimeoutMillis: connectTimeoutMs }),
  };
}

/** Stock Knex writes to the console, once per caller and with a stack. */
export const silentLog: Knex.Logger = {
  debug: () => {},
  warn: () => {},
  error: () => {},
  deprecate: () => {},
};
