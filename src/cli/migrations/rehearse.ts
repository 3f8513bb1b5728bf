import { writeFile } from 'node:fs/promises';
import { parseDuration } from '../../branches/pointInTime';
import {
  findInstalledMigrations,
  type MigrationFolder,
} from '../../migrations/installedMigrations';
import {
  rehearse as rehearseSet,
  type SetReport,
} from '../../migrations/rehearsal';
import type { MigrationSet } from '../../migrations/migrationPlan';
import { judge, type Limits } from '../../migrations/verdict';
import {
  brokenViews,
  countViews,
  type ViewCounts,
} from '../../governance/viewCheck';
import { inProject, type Project } from '../branch/project';
import { EXIT } from '../exitCodes';
import type { Terminal } from '../terminal';
import { type Copy, onCopy, type CopyOptions } from './copy';
import { openPortal } from './portal';
import { type Rehearsed, toJson } from './rehearsed';
import { toMarkdown } from './rehearsalMarkdown';
import { renderRehearsal } from './rehearsalText';

export interface RehearseOptions extends CopyOptions {
  backend: string;
  startBudget: string;
  maxBlocked: string;
  acceptLoss?: string[];
  markdown?: string;
  json: boolean;
}

/** Runs on a copy what an upgrade would run on production. */
export async function rehearse(
  options: RehearseOptions,
  terminal: Terminal,
): Promise<number> {
  const limits: Limits = {
    startBudgetMs: parseDuration(options.startBudget, '--start-budget'),
    maxBlockedMs: parseDuration(options.maxBlocked, '--max-blocked'),
    acceptLoss: options.acceptLoss ?? [],
  };
  const folders = await findInstalledMigrations(options.backend);
  return inProject(options.config, terminal, async (project, signal) => {
    const rehearsed =
      (await nothingToDo(options, project, folders, limits, terminal)) ??
      (await onCopy(options, { project, terminal, signal }, copy =>
        rehearseOn(copy, folders, limits, terminal),
      ));
    if (options.markdown !== undefined) {
      await writeFile(options.markdown, toMarkdown(rehearsed));
    }
    terminal.out(
      options.json
        ? JSON.stringify(toJson(rehearsed), undefined, 2)
        : renderRehearsal(rehearsed),
    );
    return rehearsed.verdict.kind === 'safe' ? EXIT.ok : EXIT.finding;
  });
}

/** Needs no copy to find out. */
async function nothingToDo(
  { from, at, branch }: CopyOptions,
  project: Project,
  folders: readonly MigrationFolder[],
  limits: Limits,
  terminal: Terminal,
): Promise<Rehearsed | undefined> {
  if (at !== undefined || branch !== undefined) return undefined;
  const source = from ? (await project.branch(from)).name : project.configured;
  const portal = openPortal(
    project,
    await project.api.endpointOf(source),
    terminal,
  );
  try {
    const { sets, notCovered } = await portal.plan(folders);
    if (sets.some(isDue)) return undefined;
    const verdict = judge([], limits);
    const now = new Date(terminal.clock.wall()).toISOString();
    return { verdict, sets: [], notCovered, source, at: now, longestMs: {} };
  } finally {
    await portal.close();
  }
}

async function rehearseOn(
  copy: Copy,
  folders: readonly MigrationFolder[],
  limits: Limits,
  terminal: Terminal,
): Promise<Rehearsed> {
  const { portal, source, signal } = copy;
  const plan = await portal.plan(folders);
  const due = plan.sets.filter(isDue);
  const databases = [...new Set(due.map(({ database }) => database))];
  await copy.prove(databases);
  const longestMs: Rehearsed['longestMs'] = {};
  for (const database of databases) {
    const there = await source.open(database);
    const [{ ms }] = await there.rows<{ ms: number | null }>(OLDEST);
    longestMs[database] = ms ?? undefined;
  }
  const counting = async () => {
    const counted = new Map<string, ViewCounts>();
    for (const name of databases) {
      counted.set(name, await countViews(await portal.access.open(name)));
    }
    return counted;
  };
  const viewsBefore = await counting();
  const sets: SetReport[] = [];
  for (const set of due) {
    terminal.error(
      `${set.plugin}: ${set.pending.length} of ${set.folder.package} ${set.folder.version}`,
    );
    const report = await rehearseSet({
      set,
      knex: await portal.knexOf(set.plugin),
      probe: await portal.access.open(set.database),
      clock: terminal.clock,
      onBegin: (file, direction) =>
        terminal.error(`  ${direction.padEnd(4)}  ${file}`),
    });
    signal.throwIfAborted();
    sets.push(report);
  }
  const viewsAfter = await counting();
  const broken = databases.flatMap(name =>
    brokenViews(viewsBefore.get(name)!, viewsAfter.get(name)!),
  );
  const { notCovered } = plan;
  const { sourceName, at } = copy;
  const verdict = judge(sets, limits, broken);
  return { verdict, sets, notCovered, source: sourceName, at, longestMs };
}

/** Also where Knex will refuse to begin. */
const isDue = ({ pending, unknown }: MigrationSet) =>
  pending.length > 0 || unknown.length > 0;

const OLDEST = `
  SELECT (1000 * pg_catalog.date_part('epoch',
           pg_catalog.max(pg_catalog.now() - xact_start)))::float8 AS ms
  FROM pg_catalog.pg_stat_activity
  WHERE datname = pg_catalog.current_database()
    AND pid <> pg_catalog.pg_backend_pid()`;
