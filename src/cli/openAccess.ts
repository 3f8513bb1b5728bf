import { LAKEBASE_KEY } from '../config/keys';
import { readConfig } from '../config/readConfig';
import { ConfigurationError } from '../errors';
import { DatabaseAccess } from './databaseAccess';
import { loadConfig } from './loadConfig';
import type { Terminal } from './terminal';

/**
 * The way to the database of a plugin; without one, to what the plugins have
 * in common.
 *
 * @throws ConfigurationError
 */
export async function openAccess(
  configFiles: string[] | undefined,
  { env, clock }: Pick<Terminal, 'env' | 'clock'>,
  pluginId?: string,
): Promise<DatabaseAccess> {
  const { config } = await loadConfig(configFiles);
  const settings = readConfig(config, env);
  const base = settings.endpoints.find(endpoint => endpoint.base);
  if (pluginId === undefined) {
    if (base) return new DatabaseAccess(settings, base, clock);
    const named = settings.endpoints.flatMap(({ plugins }) => plugins);
    throw named.length > 0
      ? new ConfigurationError(
          'Only single plugins are on Lakebase',
          `Name one: ${named.join(', ')}`,
        )
      : new ConfigurationError(
          `No plugin is on Lakebase: ${LAKEBASE_KEY} is not configured`,
        );
  }
  const plugin = settings.forPlugin(pluginId);
  if (!plugin) {
    throw new ConfigurationError(
      `Plugin '${pluginId}' is not on Lakebase by this configuration`,
    );
  }
  return new DatabaseAccess(settings, plugin.endpoint, clock, { pluginId });
}
