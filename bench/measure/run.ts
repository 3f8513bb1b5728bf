import type {
  Contender,
  PluginDatabase,
  Settings,
} from '../../testbed/contenders';
import type { Laboratory } from './laboratory';

export interface RunOptions {
  laboratory: Laboratory;
  contender: Contender;
  pluginIds: string[];
  settings: Settings;
  /** Of credentials. Default: an hour. */
  lifeMs?: number;
  mintLatencyMs?: number;
}

export interface Run {
  databases: PluginDatabase[];
  /** When the plugins began to ask for their databases, by `Date.now()`. */
  startedAt: number;
}

const HOUR_MS = 60 * 60_000;

/** Opens a contender's plugins, measures, and closes them whatever happens. */
export async function withPlugins<Result>(
  options: RunOptions,
  measure: (run: Run) => Promise<Result>,
): Promise<Result> {
  const { laboratory, contender, pluginIds, settings } = options;
  const { lifeMs = HOUR_MS, mintLatencyMs = 0 } = options;
  await laboratory.prepare({
    credentialLifeMs: lifeMs,
    mintLatencyMs,
    pluginIds,
  });
  const target = await laboratory.target();
  await laboratory.watch();
  const startedAt = Date.now();
  const running = await contender.start(target, {
    ...settings,
    credentialLifeMs: lifeMs,
  });
  try {
    const databases = await Promise.all(
      pluginIds.map(pluginId => running.open(pluginId)),
    );
    return await measure({ databases, startedAt });
  } finally {
    await running.stop();
  }
}

export const pluginIdsOf = (count: number) =>
  Array.from({ length: count }, (_, index) => `plugin_${index + 1}`);

/** Opens all connections that the plugins may have, one query on each. */
export async function fillPools(
  databases: PluginDatabase[],
  poolMax: number,
  holdMs: number,
): Promise<Record<string, unknown>[]> {
  const rows = await Promise.all(
    databases.flatMap(database =>
      Array.from({ length: poolMax }, () =>
        database.query(
          `select pg_backend_pid() as pid,
                  extract(epoch from clock_timestamp())::float8 * 1000 as at,
                  pg_sleep(${holdMs / 1000})`,
        ),
      ),
    ),
  );
  return rows.map(([row]) => row);
}
