import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mapValues, omit, omitBy, pick } from 'lodash';
import manifest from '../../package.json';
import { isPlugin } from './chosenTests';
import type { Versions } from './combinations';
import { locked, ROOT } from './locked';
import { lockOf } from './release';
import { SINGLE } from './single';
import { run } from '../../testbed/run';

/** The peers that the tests do not use bring a pg of their own. */
const isLeftOut = (name: string) =>
  isPlugin(name) || name === '@databricks/lakebase';

/**
 * Copies the project and installs it as an app of that time would: what its
 * lock file has, and nothing forced.
 */
export async function install(
  folder: string,
  files: string[],
  versions: Versions,
  signal: AbortSignal,
): Promise<void> {
  for (const file of files) await cp(join(ROOT, file), join(folder, file));
  const asked = askedFor(await lockOf(versions));
  const text = JSON.stringify(manifestWith(asked), undefined, 2);
  await writeFile(join(folder, 'package.json'), text);

  const options = ['--no-package-lock', '--no-audit', '--no-fund'];
  const { passed, output } = await run(
    'npm',
    ['install', ...options],
    folder,
    signal,
  );
  if (!passed) throw new Error(`npm install failed:\n${output}`);

  await check(folder, asked);
}

/** What is not under test is as the lock file has it. */
function askedFor(versions: Versions): Versions {
  const { dependencies, devDependencies } = manifest;
  const tools = omitBy(devDependencies, (_, name) => isLeftOut(name));
  const rest = { ...dependencies, ...tools };
  return { ...mapValues(rest, (_, name) => locked(name)), ...versions };
}

const manifestWith = (asked: Versions) => ({
  ...omit(manifest, 'dependencies'),
  devDependencies: asked,
  overrides: {
    ...pick(manifest.overrides, '@backstage/backend-test-utils'),
    // Jest's: a later version may lack the binary of a platform.
    'unrs-resolver': locked('unrs-resolver'),
  },
});

async function check(folder: string, asked: Versions): Promise<void> {
  const installed = await installedIn(folder);
  for (const [name, version] of Object.entries(asked)) {
    const copies = installed.filter(copy => copy.name === name);
    const right = copies[0]?.version === version;
    if (right && (copies.length === 1 || !SINGLE.includes(name))) continue;
    const found = copies.map(copy => `${copy.version} in ${copy.path}`);
    throw new Error(
      `Asked for ${name} ${version}, got ${found.join(' and ') || 'none'}`,
    );
  }
}

export async function loadedVersion(
  folder: string,
  name: string,
): Promise<string> {
  const file = join(folder, 'node_modules', name, 'package.json');
  return (JSON.parse(await readFile(file, 'utf8')) as Installed).version;
}

interface Installed {
  name: string;
  version: string;
  path: string;
}

/** Every package below a folder, starting with those that it loads itself. */
async function installedIn(folder: string): Promise<Installed[]> {
  const installed: Installed[] = [];
  for (const name of await packageNames(join(folder, 'node_modules'))) {
    const path = join(folder, 'node_modules', name);
    installed.push({ name, version: await loadedVersion(folder, name), path });
  }
  // Grows while it is gone through.
  for (const { path } of [...installed]) {
    installed.push(...(await installedIn(path)));
  }
  return installed;
}

async function packageNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch(() => []);
  const names = entries.filter(name => !name.startsWith('.'));
  const nested = names.map(async name =>
    name.startsWith('@')
      ? (await readdir(join(folder, name))).map(child => `${name}/${child}`)
      : [name],
  );
  return (await Promise.all(nested)).flat();
}
