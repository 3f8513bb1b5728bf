import type { Config } from '@backstage/config';
import { isPlainObject } from 'lodash';
import { z } from 'zod';
import {
  type LakebaseBlock,
  lakebaseSchema,
  pluginLakebaseSchema,
  type WorkspaceBlock,
  workspaceSchema,
} from './configSchema';
import type { Env } from './identitySources';
import { DATABASE_KEY, LAKEBASE_KEY, pluginKey } from './keys';
import { boolean, parseAt, withoutNulls } from './values';

const settings = z.record(z.string(), z.unknown());

/** ConfigReader takes no empty text. */
const text = z.string().min(1);

/** What all plugins and each single one may have, as to Backstage's own connector. */
const shared = {
  client: text.optional(),
  connection: z.union([z.string(), settings]).optional(),
  ensureExists: boolean.optional(),
  ensureSchemaExists: boolean.optional(),
  knexConfig: settings.optional(),
  role: text.optional(),
  skipMigrations: boolean.optional(),
};

/** All other keys go to Knex. */
const databaseSchema = z.looseObject({
  ...shared,
  keepalive: boolean.optional(),
  lakebase: lakebaseSchema.optional(),
  plugin: z.unknown().optional(),
  pluginDivisionMode: text.optional(),
  prefix: text.optional(),
  schemaPrefix: text.optional(),
});

const pluginSchema = z.looseObject({
  ...shared,
  lakebase: pluginLakebaseSchema.optional(),
});

export type DatabaseBlock = z.infer<typeof databaseSchema>;
export type PluginBlock = z.infer<typeof pluginSchema>;

/** All that `backend.database` says, as values of the right form. */
export interface Blocks {
  database: DatabaseBlock;
  lakebase: LakebaseBlock;
  /** Whether the plugins that are not mentioned by name are on Lakebase. */
  base: boolean;
  /** The plugins that are mentioned by name and on Lakebase. */
  plugins: Map<string, PluginBlock>;
  isOnLakebase(pluginId: string): boolean;
}

/** As much of `backend.database` as says who is on Lakebase. */
export interface Switches {
  client?: unknown;
  lakebase?: unknown;
  plugin?: Record<string, Switches | undefined>;
}

/** What says who is on Lakebase, and all that lies beside it. */
export function readSwitches(rootConfig: Config, env: Env): Switches {
  const { lakebase, ...database } = withoutNulls(
    rootConfig.getOptional(DATABASE_KEY) ?? {},
  ) as Switches;
  return {
    ...database,
    ...(isEmbedded(env) && { client: EMBEDDED }),
    // As for a single plugin: Backstage's own service.
    ...(lakebase !== false && lakebase !== undefined && { lakebase }),
  };
}

/** The client that Backstage's CLI starts a Postgres for, on a laptop. */
const EMBEDDED = 'embedded-postgres';

/**
 * Whether the CLI has done so: it then says `pg` in its place, and hands over
 * the connection, with its password, in this variable.
 */
function isEmbedded(env: Env): boolean {
  try {
    const { client, connection, ...rest } = JSON.parse(
      env.APP_CONFIG_backend_database ?? '{}',
    ) as { client?: unknown; connection?: { password?: unknown } };
    return (
      client === 'pg' &&
      typeof connection?.password === 'string' &&
      Object.keys(rest).length === 0
    );
  } catch {
    return false;
  }
}

/** Otherwise Backstage's own database service has the plugin. */
function isOnLakebase(database: Switches, pluginId: string): boolean {
  const plugin = database.plugin?.[pluginId];
  if ((plugin?.client ?? database.client) !== 'pg') return false;
  return plugin?.lakebase === undefined
    ? database.lakebase !== undefined
    : plugin.lakebase !== false;
}

/** Whether the plugins that are not mentioned by name are on Lakebase. */
export const isBaseOnLakebase = ({ client, lakebase }: Switches) =>
  client === 'pg' && lakebase !== undefined;

const namedOnLakebase = (database: Switches) =>
  isPlainObject(database.plugin)
    ? Object.keys(database.plugin!).filter(id => isOnLakebase(database, id))
    : [];

/** Whether there is anything to do for this package. */
export function isConfigured(rootConfig: Config, env: Env): boolean {
  const database = readSwitches(rootConfig, env);
  return isBaseOnLakebase(database) || namedOnLakebase(database).length > 0;
}

/** Why a block that is there has no effect, for whoever wonders. */
export function explainUnused(
  rootConfig: Config,
  env: Env,
): string | undefined {
  // An empty block is none to a ConfigReader, and cannot be told from it.
  const block = rootConfig.getOptional(LAKEBASE_KEY);
  if (block === undefined || block === false) return undefined;
  const { client } = readSwitches(rootConfig, env);
  return (
    `${LAKEBASE_KEY} has no effect: ${DATABASE_KEY}.client is ` +
    (client === undefined ? 'not set' : `'${client as string}'`) +
    ", and Lakebase takes 'pg'"
  );
}

/** Whether our health service replaces Backstage's own. */
export const wantsReadiness = (rootConfig: Config): boolean =>
  rootConfig.getOptionalBoolean(`${LAKEBASE_KEY}.readiness`) ?? false;

/** @throws ConfigurationError that names each key that has a wrong form. */
export function readBlocks(rootConfig: Config, env: Env): Blocks {
  const switches = readSwitches(rootConfig, env);
  const database = parseAt(DATABASE_KEY, databaseSchema, switches);
  const plugins = namedOnLakebase(switches).map((id): [string, PluginBlock] => [
    id,
    parseAt(pluginKey(id), pluginSchema, switches.plugin![id]),
  ]);
  return {
    database,
    lakebase: database.lakebase ?? {},
    base: isBaseOnLakebase(switches),
    plugins: new Map(plugins),
    isOnLakebase: id => isOnLakebase(switches, id),
  };
}

/** The block `workspace` at this key as it is now. */
export const readWorkspaceBlock = (
  rootConfig: Config,
  key: string,
): WorkspaceBlock =>
  parseAt(key, workspaceSchema, rootConfig.getOptional(key) ?? {});
