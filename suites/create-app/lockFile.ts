import { uniq } from 'lodash';
import { parse } from 'yaml';
import { SINGLE } from '../versions/single';

/** What the lock file of Yarn says, by the ranges that were asked for. */
type Entries = Record<string, { version: string; resolution?: string }>;

const LOCAL = /@(workspace|link|file):/;

/** What no app has, and what it brings along. */
const NEW = /^pg-copy-streams@/;

/**
 * What adding this package did to an app beyond adding it: nothing, if all is
 * well.
 */
export function complaintsAbout(before: string, after: string): string[] {
  const known = new Set(resolutions(before));
  const found = resolutions(after);
  const others = found.filter(it => !known.has(it) && !NEW.test(it));
  const copies = SINGLE.map(name => ({
    name,
    versions: versionsOf(found, name),
  })).filter(({ versions }) => versions.length !== 1);
  return [
    ...others.map(it => `brings ${it}`),
    ...copies.map(({ name, versions }) => `${name}: ${versions.join(', ')}`),
  ];
}

/** The names of all packages of others. */
export const packageNames = (lockFile: string) =>
  uniq(resolutions(lockFile).map(it => it.slice(0, it.indexOf('@', 1))));

const versionsOf = (found: string[], name: string) =>
  found
    .filter(it => it.startsWith(`${name}@`))
    .map(it => it.slice(name.length + 1));

const resolutions = (lockFile: string): string[] =>
  Object.values(parse(lockFile) as Entries)
    .map(({ resolution = '' }) => resolution)
    .filter(it => it && !LOCAL.test(it));
