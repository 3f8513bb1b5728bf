import { readdir, readFile, realpath } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { ConfigurationError } from '../errors';

/** A folder of migrations in an installed package. */
export interface MigrationFolder {
  package: string;
  version: string;
  directory: string;
  /** In the order in which Knex runs them. */
  files: string[];
  /** The plugin that the package says it is, or a module of. */
  pluginId?: string;
  /** Where the package tells what its versions change. */
  notes: string;
}

interface Manifest {
  name?: string;
  version?: string;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  backstage?: { role?: string; pluginId?: string };
  repository?: { url?: string; directory?: string };
}

const PLUGIN_ROLES = ['backend-plugin', 'backend-plugin-module'];

const FILE = /\.(js|cjs|mjs)$/;

/** What all files have that Knex runs. */
const HAS_UP = /\bup\b/;

/** Folders of migrations lie no deeper in a package than this. */
const DEPTH = 4;

/**
 * Finds the migrations of all packages that a backend depends on, directly or
 * not. Of several copies of a package the one nearest to the backend counts.
 *
 * @param root - the folder of the backend's own package.
 * @throws ConfigurationError where there is no package.
 */
export async function findInstalledMigrations(
  root: string,
): Promise<MigrationFolder[]> {
  const own = await readManifest(root);
  if (!own) {
    throw new ConfigurationError(
      `There is no package.json in ${root}, so it is unknown which plugins are installed`,
      "Run this in the folder of the backend's package, such as packages/backend",
    );
  }
  const folders: MigrationFolder[] = [];
  const seen = new Set<string>();
  let level = [{ folder: root, manifest: own }];
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { folder, manifest } of level) {
      folders.push(...(await foldersOf(folder, manifest)));
      for (const name of namesOf(manifest)) {
        if (seen.has(name)) continue;
        const found = await findPackage(folder, name);
        if (!found) continue;
        seen.add(name);
        next.push(found);
      }
    }
    level = next;
  }
  return folders;
}

const namesOf = (manifest: Manifest) =>
  Object.keys({
    ...manifest.dependencies,
    ...manifest.peerDependencies,
    ...manifest.optionalDependencies,
  });

/** As Node looks for it, links of a workspace followed. */
async function findPackage(from: string, name: string) {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    const manifest = await readManifest(candidate);
    if (manifest) return { folder: await realpath(candidate), manifest };
    if (dirname(folder) === folder) return undefined;
  }
}

async function readManifest(folder: string): Promise<Manifest | undefined> {
  try {
    const text = await readFile(join(folder, 'package.json'), 'utf8');
    return JSON.parse(text) as Manifest;
  } catch {
    return undefined;
  }
}

/** Of packages of Backstage, and of those that are not from a registry. */
async function foldersOf(
  folder: string,
  manifest: Manifest,
): Promise<MigrationFolder[]> {
  const { name, version = '', backstage } = manifest;
  const isOwn = !folder.split(sep).includes('node_modules');
  if (!name || (!backstage && !isOwn)) return [];
  const found: MigrationFolder[] = [];
  for (const home of await foldersNamedMigrations(folder, DEPTH)) {
    const main = relative(folder, home) === 'migrations';
    for (const directory of [home, ...(await subfolders(home))]) {
      const files = await migrationsIn(directory);
      if (files.length === 0) continue;
      const isPlugin =
        main &&
        directory === home &&
        PLUGIN_ROLES.includes(backstage?.role ?? '');
      found.push({
        package: name,
        version,
        directory,
        files,
        pluginId: isPlugin ? backstage?.pluginId : undefined,
        notes: notesOf(manifest),
      });
    }
  }
  return found;
}

async function foldersNamedMigrations(
  folder: string,
  depth: number,
): Promise<string[]> {
  const inner = await subfolders(folder);
  const nested =
    depth > 1
      ? await Promise.all(
          inner
            .filter(it => !it.endsWith(`${sep}migrations`))
            .map(it => foldersNamedMigrations(it, depth - 1)),
        )
      : [];
  return [
    ...inner.filter(it => it.endsWith(`${sep}migrations`)),
    ...nested.flat(),
  ];
}

async function subfolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter(
      entry =>
        entry.isDirectory() &&
        entry.name !== 'node_modules' &&
        !entry.name.startsWith('.'),
    )
    .map(({ name }) => join(folder, name))
    .sort();
}

async function migrationsIn(directory: string): Promise<string[]> {
  const names = (await readdir(directory)).filter(name => FILE.test(name));
  const texts = await Promise.all(
    names.map(name => readFile(join(directory, name), 'utf8')),
  );
  return names.filter((_, index) => HAS_UP.test(texts[index])).sort();
}

function notesOf({ name, repository }: Manifest): string {
  const { url, directory } = repository ?? {};
  const web = url?.replace(/^git\+/, '').replace(/\.git$/, '');
  return web?.startsWith('https://') && directory
    ? `${web}/blob/HEAD/${directory}/CHANGELOG.md`
    : `https://www.npmjs.com/package/${name}`;
}
