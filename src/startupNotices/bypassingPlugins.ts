/**
 * Packages that build database clients from `backend.database.connection`, past
 * the database service: those known in November 2026.
 */
const BYPASSING =
  /[\\/]((?:[\w-]*-)?plugin-(?:rbac|time-saver)-backend)(?:-dynamic[^\\/]*)?[\\/]/;

/**
 * Tells what to do about such plugins, when there are any among the files that
 * the process has loaded: their own errors name neither cause nor remedy.
 */
export function warnOfBypassingPlugins(
  loadedFiles: string[],
): string | undefined {
  const found = loadedFiles.flatMap(file => BYPASSING.exec(file)?.[1] ?? []);
  if (found.length === 0) return undefined;
  return (
    `${[...new Set(found)].join(' and ')} may connect to ` +
    "backend.database.connection without Backstage's database service, and so " +
    'without a credential, and then fails to start. Set ' +
    'backend.database.lakebase.localProxy: true, and ' +
    'backend.database.connection.host to a directory for its socket, such as ' +
    '/tmp/backstage-lakebase, with port: 5432. See "Plugins that connect by ' +
    'themselves" in the README of backstage-backend-module-lakebase'
  );
}
