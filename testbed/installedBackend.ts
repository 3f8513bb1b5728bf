import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export const packageOf = (plugin: string) =>
  `@backstage/plugin-${plugin}-backend`;

/** A backend's package that depends on plugins as they are installed here. */
export async function installedBackend(
  folder: string,
  plugins: readonly string[],
): Promise<string> {
  for (const plugin of plugins) {
    const link = join(folder, 'node_modules', packageOf(plugin));
    await mkdir(dirname(link), { recursive: true });
    const manifest = require.resolve(`${packageOf(plugin)}/package.json`);
    await symlink(dirname(manifest), link);
  }
  const dependencies = Object.fromEntries(
    plugins.map(plugin => [packageOf(plugin), '*']),
  );
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'backend', version: '1.0.0', dependencies }),
  );
  return folder;
}
