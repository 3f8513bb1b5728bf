import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Settings } from '../../config/readConfig';
import { SEARCH } from '../../startupNotices/searchEngine';
import { Finding } from './check';

const SEARCH_PLUGIN = '@backstage/plugin-search-backend';
const POSTGRES_ENGINE = '@backstage/plugin-search-backend-module-pg';

/** Where a backend lies in what Backstage's own template makes. */
const BACKEND = join('packages', 'backend');

/** Whether search keeps its index in Postgres; undefined without search. */
export function checkSearchEngine(
  settings: Settings,
  folders: string[],
): Finding | undefined {
  if (!settings.forPlugin(SEARCH)) return undefined;
  const places = folders.flatMap(folder => [join(folder, BACKEND), folder]);
  const installedIn = places.find(place => isInstalled(SEARCH_PLUGIN, place));
  if (installedIn === undefined) return undefined;
  if (isInstalled(POSTGRES_ENGINE, installedIn)) {
    return {
      status: 'ok',
      message: `Search is installed with ${POSTGRES_ENGINE}`,
    };
  }
  const other = findOtherEngine(installedIn);
  if (other) {
    return { status: 'ok', message: `Search is installed with ${other}` };
  }
  return {
    status: 'warn',
    message: `Search is installed without ${POSTGRES_ENGINE}, and keeps its index in memory`,
    remedy: 'Install the engine, and add it to the backend',
    statements: [
      `yarn --cwd packages/backend add ${POSTGRES_ENGINE}`,
      `backend.add(import('${POSTGRES_ENGINE}'));`,
    ],
  };
}

/** Modules of Backstage that only feed the index. */
const FEEDS_THE_INDEX = /-module-(catalog|explore|stack-overflow|techdocs)$/;

/** A dependency of the backend that may well be another engine. */
function findOtherEngine(folder: string): string | undefined {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) return undefined;
  const { dependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  return Object.keys(dependencies).find(
    name => /search-backend-module-/.test(name) && !FEEDS_THE_INDEX.test(name),
  );
}

/** Seen by its folder: what a package exports is its own choice. */
function isInstalled(name: string, folder: string): boolean {
  const paths = createRequire(join(folder, 'package.json')).resolve.paths(name);
  return (paths ?? []).some(path =>
    existsSync(join(path, name, 'package.json')),
  );
}
