import { existsSync } from 'node:fs';
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

/** Seen by its folder: what a package exports is its own choice. */
function isInstalled(name: string, folder: string): boolean {
  const paths = createRequire(join(folder, 'package.json')).resolve.paths(name);
  return (paths ?? []).some(path =>
    existsSync(join(path, name, 'package.json')),
  );
}
