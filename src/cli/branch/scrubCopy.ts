import {
  isScrubbed,
  scrubDatabase,
  type ScrubbedTable,
} from '../../branches/scrub';
import type { DatabaseAccess } from '../databaseAccess';
import { closingAfter } from '../interruption';
import { placesOf } from '../places';
import type { Project } from './project';

export interface ScrubCopyOptions {
  /** Plugins whose unknown tables stay as they are. */
  allowed?: readonly string[];
  /** Also what was scrubbed before. */
  again?: boolean;
  /** What is under way fails then, and is rolled back by Postgres. */
  signal: AbortSignal;
}

/**
 * Scrubs all databases of a copy that were not scrubbed before.
 *
 * @returns what became of each table; undefined where all was done already.
 * @throws LakebaseError
 */
export async function scrubCopy(
  project: Project,
  source: string,
  { endpoint, host }: { endpoint: string; host: string },
  { signal, ...options }: ScrubCopyOptions,
): Promise<ScrubbedTable[] | undefined> {
  const there = await project.api.endpointOf(source);
  const from = project.access(there.name, there.host);
  const copy = project.access(endpoint, host);
  const close = () => Promise.all([copy.close(), from.close()]);
  return closingAfter(signal, close, () => scrubAll(copy, from, options));
}

async function scrubAll(
  copy: DatabaseAccess,
  source: DatabaseAccess,
  { allowed = [], again = false }: Omit<ScrubCopyOptions, 'signal'>,
): Promise<ScrubbedTable[] | undefined> {
  const done: ScrubbedTable[] = [];
  let scrubbed = 0;
  for (const { database, pluginOf } of await placesOf(copy)) {
    const opened = await copy.open(database);
    if (!again && (await isScrubbed(opened))) continue;
    scrubbed += 1;
    const tables = await scrubDatabase(
      {
        name: database,
        pluginOf,
        copy: opened,
        source: await source.open(database),
      },
      allowed,
    );
    done.push(...tables);
  }
  return scrubbed > 0 ? done : undefined;
}
