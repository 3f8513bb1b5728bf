import { uniq } from 'lodash';
import { parse } from 'yaml';
import manifest from '../../package.json';

/** What the lock file of Yarn says, by the ranges that were asked for. */
type Entries = Record<string, { version: string; resolution?: string }>;

const LOCAL = /@(workspace|link|file):/;

/**
 * What adding this package did to an app beyond adding it: nothing, if all is
 * well.
 */
export function complaintsAbout(before: string, after: string): string[] {
  const known = new Set(resolutions(before));
  const others = resolutions(after).filter(it => !known.has(it));
  const copies = Object.keys(manifest.peerDependencies)
    // Knex pins an older one for itself.
    .filter(name => name !== 'pg-connection-string')
    .map(name => ({ name, versions: versionsOf(after, name) }))
    .filter(({ versions }) => versions.length !== 1);
  return [
    ...others.map(it => `brings ${it}`),
    ...copies.map(({ name, versions }) => `${name}: ${versions.join(', ')}`),
  ];
}

/** The names of all packages of others. */
export const packageNames = (lockFile: string) =>
  uniq(resolutions(lockFile).map(it => it.slice(0, it.indexOf('@', 1))));

const versionsOf = (lockFile: string, name: string) =>
  resolutions(lockFile)
    .filter(it => it.startsWith(`${name}@`))
    .map(it => it.slice(name.length + 1));

const resolutions = (lockFile: string): string[] =>
  Object.values(parse(lockFile) as Entries)
    .map(({ resolution = '' }) => resolution)
    .filter(it => it && !LOCAL.test(it));
