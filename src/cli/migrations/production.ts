import type { MigrationSet } from '../../migrations/migrationPlan';
import { MARKS } from '../../branches/marks';
import { describeLock, isLocked } from '../../migrations/migrationLock';
import { LakebaseError } from '../../errors';
import { readOnlyFault } from '../../connections/postgresFaults';
import type { Project } from '../branch/project';
import type { Terminal } from '../terminal';
import { openPortal, type Portal } from './portal';

/**
 * The configured branch, at the host that the workspace names for it, and not
 * at one that somebody has written down: its certificate proves the name.
 */
export async function onProduction<T>(
  project: Project,
  terminal: Terminal,
  work: (portal: Portal) => Promise<T>,
): Promise<T> {
  const endpoint = await project.api.endpointOf(project.configured);
  const portal = openPortal(project, endpoint, terminal);
  try {
    terminal.error(`${endpoint.name}, at ${endpoint.host}`);
    return await work(portal);
  } finally {
    await portal.close();
  }
}

const STATE = `
  SELECT pg_catalog.pg_is_in_recovery() AS replica, current_user::text AS user,
         pg_catalog.to_regclass('${MARKS}.marks') IS NOT NULL AS copy`;

/**
 * Makes sure that each database takes writes, and that nobody else migrates it.
 *
 * @throws LakebaseError
 */
export async function checkDatabases(
  portal: Portal,
  sets: readonly MigrationSet[],
  { error, clock }: Terminal,
): Promise<void> {
  for (const database of new Set(sets.map(it => it.database))) {
    const opened = await portal.access.open(database);
    const [{ replica, user, copy }] = await opened.rows<{
      replica: boolean;
      user: string;
      copy: boolean;
    }>(STATE);
    if (replica) throw readOnlyFault(opened.target);
    error(
      `  database ${database} as ${user}${copy ? ', which is a copy made by this tool' : ''}`,
    );
  }
  const patienceMs = portal.access.endpoint.connectTimeoutMs;
  const deadline = clock.monotonic() + patienceMs;
  for (const set of sets) {
    const opened = await portal.access.open(set.database);
    let told = false;
    while (await isLocked(set, opened)) {
      if (clock.monotonic() > deadline) {
        const { statement, ...said } = await describeLock(set, opened);
        throw new LakebaseError('migrations-locked', {
          ...said,
          statements: [statement],
        });
      }
      if (!told)
        error(`Waiting for another process to migrate plugin ${set.plugin}`);
      told = true;
      await clock.pause(POLL_MS);
    }
  }
}

const POLL_MS = 500;
