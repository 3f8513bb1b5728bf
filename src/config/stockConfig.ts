import { type Config, ConfigReader } from '@backstage/config';
import type { JsonObject } from '@backstage/types';
import { omit } from 'lodash';
import { isBaseOnLakebase, readSwitches } from './blocks';
import type { Env } from './identitySources';

/** What of the base is about the server and the login that a plugin has not. */
const OF_LAKEBASE = ['connection', 'lakebase', 'plugin', 'role'];

/**
 * The configuration by which Backstage's own service serves a plugin that is
 * not on Lakebase, although the base is: of this plugin alone. By the whole, it
 * would look for database and schema at the base's connection, which is
 * Lakebase's and has no password.
 */
export function isolateStockPlugin(
  rootConfig: Config,
  env: Env,
  pluginId: string,
): Config {
  const switches = readSwitches(rootConfig, env);
  if (!isBaseOnLakebase(switches)) return rootConfig;
  const own = omit(switches.plugin?.[pluginId] as JsonObject, 'lakebase');
  const database: JsonObject = {
    ...omit(switches as JsonObject, OF_LAKEBASE),
    connection: {},
    ...omit(own, 'knexConfig'),
    plugin: { [pluginId]: own },
  };
  // Only Postgres has schemas to divide plugins by.
  const passedOn =
    database.client === 'pg' ? database : omit(database, 'pluginDivisionMode');
  return new ConfigReader({ backend: { database: passedOn } });
}
