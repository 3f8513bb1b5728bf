import type { Config } from '@backstage/config';
import { ConfigSources } from '@backstage/config-loader';
import { ConfigurationError } from '../errors';

/**
 * Loads app-config as a backend does that is started with these `--config`
 * arguments: files, `$env`, `$file`, `$include` and `APP_CONFIG_*`.
 *
 * @throws ConfigurationError
 */
export async function loadConfig(files: string[] = []): Promise<Config> {
  const argv = files.flatMap(file => ['--config', file]);
  try {
    const source = ConfigSources.default({ argv, watch: false });
    const config = await ConfigSources.toConfig(source);
    config.close();
    return config;
  } catch (error) {
    // No cause, and one line only: parsers quote the lines around a mistake.
    const [firstLine] = String((error as Error).message).split('\n');
    throw new ConfigurationError(firstLine);
  }
}
