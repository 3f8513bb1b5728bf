import { type Config, ConfigReader } from '@backstage/config';
import { ConfigSources } from '@backstage/config-loader';
import type { JsonObject } from '@backstage/types';
import { ConfigurationError } from '../errors';

export interface LoadedConfig {
  config: Config;
  /** Absolute paths of the files that were read. */
  files: string[];
}

/**
 * Loads app-config as a backend does that is started with these `--config`
 * arguments: files, `$env`, `$file`, `$include` and `APP_CONFIG_*`.
 *
 * @throws ConfigurationError
 */
export async function loadConfig(names: string[] = []): Promise<LoadedConfig> {
  const argv = names.flatMap(name => ['--config', name]);
  try {
    const source = ConfigSources.default({ argv, watch: false });
    for await (const { configs } of source.readConfigData()) {
      return {
        config: ConfigReader.fromConfigs(configs),
        files: configs.flatMap(({ path }) => path ?? []),
      };
    }
    throw new Error('There is no configuration');
  } catch (error) {
    // No cause, and one line only: parsers quote the lines around a mistake.
    const [firstLine] = String((error as Error).message).split('\n');
    throw new ConfigurationError(firstLine);
  }
}

/** The same configuration with something on top, as one more file would be. */
export const overlaid = (config: Config, data: JsonObject): Config =>
  ConfigReader.fromConfigs([
    { context: 'app-config', data: config.get() },
    { context: 'overlay', data },
  ]);
