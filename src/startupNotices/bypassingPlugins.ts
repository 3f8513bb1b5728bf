import { readFileSync } from 'node:fs';
import { join, sep } from 'node:path';

/**
 * Packages that build database clients from `backend.database.connection`, past
 * the database service: those known in November 2026.
 */
const KNOWN =
  /[\\/]((?:[\w-]*-)?plugin-(?:rbac|time-saver)-backend)(?:-dynamic[^\\/]*)?[\\/]/;

/** How they do it. */
const CONNECTS =
  /\bDatabaseManager\.fromConfig\(|['"`]backend\.database(?:\.connection)?['"`]/;

const INSTALLED = /[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/g;

/** This package, in somebody's node_modules or in a clone. */
const OURS = join(__dirname, '..', '..') + sep;

/**
 * Tells what to do about plugins that connect by themselves, when there are any
 * among the files that the process has loaded: their own errors name neither
 * cause nor remedy.
 */
export function warnOfBypassingPlugins(
  loadedFiles: string[],
  ours = OURS,
): string | undefined {
  const found = loadedFiles
    .filter(file => !isIn(ours, file))
    .flatMap(file => KNOWN.exec(file)?.[1] ?? findUnknown(file) ?? []);
  if (found.length === 0) return undefined;
  return (
    `${[...new Set(found)].join(' and ')} may connect to ` +
    "backend.database.connection without Backstage's database service, and so " +
    'without a credential, and then fails to start. Set ' +
    'backend.database.lakebase.localProxy: true, and ' +
    'backend.database.connection.host to a directory for its socket, such as ' +
    '/tmp/backstage-lakebase, with port: 5432. See "Plugins that connect by ' +
    'themselves" in docs/connections.md of backstage-backend-module-lakebase'
  );
}

/** The package, or the file of the app, that connects by itself. */
function findUnknown(file: string): string | undefined {
  const name = [...file.matchAll(INSTALLED)].at(-1)?.[1].replace('\\', '/');
  const worthReading =
    !name || (/backstage|plugin/.test(name) && !name.startsWith('@backstage/'));
  return worthReading && CONNECTS.test(read(file)) ? (name ?? file) : undefined;
}

/** In a clone what it depends on lies below it, and is not it. */
const isIn = (ours: string, file: string): boolean =>
  file.startsWith(ours) &&
  !file.slice(ours.length).startsWith(`node_modules${sep}`);

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Built-in, or gone since.
    return '';
  }
}
