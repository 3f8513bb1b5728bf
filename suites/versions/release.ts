import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { gte, minVersion } from 'semver';
import type { Versions } from './combinations';

/**
 * What the lock file of an app of that time has: of each Backstage package
 * that these ask for, directly or through others, the lowest version that
 * they ask for, since all of a release come out together.
 */
export async function lockOf(asked: Versions): Promise<Versions> {
  const found: Versions = {};
  async function add(name: string, version: string): Promise<void> {
    if (name in found && gte(found[name], version)) return;
    found[name] = version;
    await addAll(await lowestAskedFor(name, version));
  }
  const addAll = (versions: Versions) =>
    Promise.all(Object.entries(versions).map(entry => add(...entry)));
  await addAll(asked);
  return found;
}

async function lowestAskedFor(
  name: string,
  version: string,
): Promise<Versions> {
  const { stdout } = await promisify(execFile)('npm', [
    ...['view', '--json', `${name}@${version}`, 'dependencies'],
  ]);
  const ranges = JSON.parse(stdout || '{}') as Versions;
  return Object.fromEntries(
    Object.entries(ranges)
      .filter(([dependency]) => dependency.startsWith('@backstage/'))
      .map(([dependency, range]) => [dependency, minVersion(range)!.version]),
  );
}
