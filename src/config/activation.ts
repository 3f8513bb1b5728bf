import { Config } from '@backstage/config';
import { DATABASE_KEY, LAKEBASE_KEY } from './config';

/** Whether a plugin is on Lakebase; otherwise Backstage's own service has it. */
export function isOnLakebase(rootConfig: Config, pluginId: string): boolean {
  const plugin = `${DATABASE_KEY}.plugin.${pluginId}`;
  const client =
    rootConfig.getOptionalString(`${plugin}.client`) ??
    rootConfig.getOptionalString(`${DATABASE_KEY}.client`);
  if (client !== 'pg') return false;
  const own = rootConfig.getOptional(`${plugin}.lakebase`);
  return own === undefined ? rootConfig.has(LAKEBASE_KEY) : own !== false;
}

/** Whether the plugins that are not mentioned by name are on Lakebase. */
export function isBaseOnLakebase(rootConfig: Config): boolean {
  return (
    rootConfig.has(LAKEBASE_KEY) &&
    rootConfig.getOptionalString(`${DATABASE_KEY}.client`) === 'pg'
  );
}

/** The plugins that are mentioned by name and on Lakebase. */
export function namedPluginsOnLakebase(rootConfig: Config): string[] {
  const plugins = rootConfig.getOptionalConfig(`${DATABASE_KEY}.plugin`);
  return plugins?.keys().filter(id => isOnLakebase(rootConfig, id)) ?? [];
}

/** Whether there is anything to do for this package. */
export function isConfigured(rootConfig: Config): boolean {
  return (
    isBaseOnLakebase(rootConfig) ||
    namedPluginsOnLakebase(rootConfig).length > 0
  );
}
