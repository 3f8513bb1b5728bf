import { readFile } from 'node:fs/promises';
import type { MadeBranch } from '../../branches/createBranch';
import { ConfigurationError } from '../../errors';
import { findInvalidIndexes } from '../../migrations/invalidIndexes';
import { findInstalledMigrations } from '../../migrations/installedMigrations';
import type { MigrationSet } from '../../migrations/migrationPlan';
import {
  isTransactional,
  loadMigration,
  migrateUp,
} from '../../migrations/runMigrations';
import { inSeconds } from '../../migrations/verdict';
import { onOneLine, showControls } from '../../texts';
import { inProject, type Project } from '../branch/project';
import { EXIT } from '../exitCodes';
import type { Terminal } from '../terminal';
import { cancelling } from './cancelling';
import type { Portal } from './portal';
import { checkDatabases, onProduction } from './production';
import { makeRestorePoint, wayBackTo } from './restorePoint';

export interface MigrateOptions {
  config?: string[];
  backend: string;
  dryRun: boolean;
  restorePoint: boolean;
  /** What `rehearse --json` has told. */
  rehearsal?: string;
  json: boolean;
}

interface Done {
  plugin: string;
  file: string;
  ms: number;
  rehearsedMs?: number;
}

interface Failure {
  plugin: string;
  file?: string;
  error: string;
  /** Unfinished, and to be dropped before the next try. */
  invalidIndexes: string[];
}

type Rehearsal = Map<string, number>;

/** Runs on production what is pending, before the first pod does. */
export async function migrate(
  options: MigrateOptions,
  terminal: Terminal,
): Promise<number> {
  const rehearsal = await readRehearsal(options.rehearsal);
  const folders = await findInstalledMigrations(options.backend);
  return inProject(options.config, terminal, (project, signal) =>
    onProduction(project, terminal, async portal => {
      const plan = await portal.plan(folders);
      for (const what of plan.notCovered)
        terminal.error(`Not covered: ${what}`);
      const due = plan.sets.filter(({ pending }) => pending.length > 0);
      checkKnown(due);
      if (due.length === 0) {
        tell(terminal, options, { done: [] });
        return EXIT.ok;
      }
      for (const { plugin, pending } of due) {
        for (const file of pending) {
          const ms = rehearsal.get(`${plugin} ${file}`);
          terminal.error(
            `  ${plugin}  ${file}${ms === undefined ? '' : ` (${inSeconds(ms)} in the rehearsal)`}`,
          );
        }
      }
      await checkDatabases(portal, due, terminal);
      if (options.dryRun) {
        terminal.out(
          options.json
            ? JSON.stringify(
                { version: 1, pending: pendingOf(due) },
                undefined,
                2,
              )
            : 'Nothing was changed',
        );
        return EXIT.ok;
      }
      const restorePoint = options.restorePoint
        ? await makeRestorePoint(project, options.backend, terminal)
        : undefined;
      signal.throwIfAborted();
      const run = new Run(portal, terminal, rehearsal, signal);
      const failure = await run.all(due);
      signal.throwIfAborted();
      tell(terminal, options, {
        done: run.done,
        failure,
        restorePoint,
        project,
      });
      return failure ? EXIT.finding : EXIT.ok;
    }),
  );
}

const pendingOf = (due: readonly MigrationSet[]) =>
  due.flatMap(({ plugin, pending }) => pending.map(file => ({ plugin, file })));

class Run {
  readonly done: Done[] = [];
  readonly #portal: Portal;
  readonly #terminal: Terminal;
  readonly #rehearsal: Rehearsal;
  readonly #signal: AbortSignal;

  constructor(
    portal: Portal,
    terminal: Terminal,
    rehearsal: Rehearsal,
    signal: AbortSignal,
  ) {
    this.#portal = portal;
    this.#terminal = terminal;
    this.#rehearsal = rehearsal;
    this.#signal = signal;
  }

  /** Ends at the first failure. */
  async all(sets: readonly MigrationSet[]): Promise<Failure | undefined> {
    for (const set of sets) {
      const failure = await this.#set(set);
      if (failure) return failure;
    }
    return undefined;
  }

  async #set(set: MigrationSet): Promise<Failure | undefined> {
    const { clock, error: say } = this.#terminal;
    const { plugin, schema } = set;
    const opened = await this.#portal.access.open(set.database);
    const knex = await this.#portal.knexOf(plugin);
    const finished: Done[] = [];
    let current: string | undefined;
    let begin = 0;
    const hooks = {
      before: (file: string) => {
        this.#signal.throwIfAborted();
        current = file;
        begin = clock.monotonic();
        say(`  ${plugin}  ${file} …`);
        return Promise.resolve();
      },
      after: (file: string) => {
        const ms = clock.monotonic() - begin;
        const rehearsedMs = this.#rehearsal.get(`${plugin} ${file}`);
        finished.push({ plugin, file, ms, rehearsedMs });
        say(
          `  ${plugin}  ${file}  ${inSeconds(ms)}${rehearsedMs === undefined ? '' : `, ${inSeconds(rehearsedMs)} in the rehearsal`}`,
        );
        return Promise.resolve();
      },
    };
    try {
      await cancelling(knex, opened, { signal: this.#signal, clock }, () =>
        migrateUp(knex, set, hooks),
      );
      this.done.push(...finished);
      return undefined;
    } catch (error) {
      // One transaction for all of them has taken all of them back.
      if (!inOneTransaction(set)) {
        this.done.push(...finished.filter(({ file }) => file !== current));
      }
      return {
        plugin,
        file: current,
        error: onOneLine(error),
        invalidIndexes: await findInvalidIndexes(schema, opened),
      };
    }
  }
}

const inOneTransaction = ({ folder, pending }: MigrationSet) =>
  pending.every(file => isTransactional(loadMigration(folder, file)));

/** @throws ConfigurationError where Knex would refuse. */
function checkKnown(due: readonly MigrationSet[]): void {
  const newer = due.find(({ unknown }) => unknown.length > 0);
  if (!newer) return;
  const { plugin, unknown, folder } = newer;
  throw new ConfigurationError(
    `The database of plugin ${plugin} has migrations that ${folder.package} ${folder.version} does not: ${unknown.join(', ')}`,
    'Run this from the newest version that was ever started there',
  );
}

/** @throws ConfigurationError */
async function readRehearsal(file: string | undefined): Promise<Rehearsal> {
  const times: Rehearsal = new Map();
  if (file === undefined) return times;
  try {
    const { sets } = JSON.parse(await readFile(file, 'utf8')) as {
      sets: { plugin: string; migrations: { file: string; ms: number }[] }[];
    };
    for (const { plugin, migrations } of sets) {
      for (const it of migrations) times.set(`${plugin} ${it.file}`, it.ms);
    }
    return times;
  } catch (error) {
    throw new ConfigurationError(
      `--rehearsal ${file} cannot be read`,
      'Give the output of backstage-lakebase rehearse --json',
      error,
    );
  }
}

interface Outcome {
  done: Done[];
  failure?: Failure;
  restorePoint?: MadeBranch;
  project?: Project;
}

function tell(
  { out }: Terminal,
  { json }: MigrateOptions,
  { done, failure, restorePoint, project }: Outcome,
): void {
  if (json) {
    const { name, expiresAt } = restorePoint?.branch ?? {};
    const shown = restorePoint && { name, expires: expiresAt };
    out(
      JSON.stringify(
        { version: 1, migrations: done, failure, restorePoint: shown },
        undefined,
        2,
      ),
    );
    return;
  }
  if (done.length === 0 && !failure) out('Nothing is pending');
  else if (done.length > 0) {
    const ms = done.reduce((sum, it) => sum + it.ms, 0);
    out(`${done.length} migrations in ${inSeconds(ms)}`);
  }
  if (failure) {
    const { plugin, file, error, invalidIndexes } = failure;
    out(
      [
        `Plugin ${plugin} failed${file === undefined ? '' : ` at ${file}`}: ${showControls(error)}`,
        ...(invalidIndexes.length > 0
          ? [
              `It has left unfinished indexes; drop them before the next try:`,
              ...invalidIndexes.map(name => `DROP INDEX CONCURRENTLY ${name};`),
            ]
          : []),
        'Nothing is tried again by itself: mend the cause, and run the same command again',
      ].join('\n'),
    );
  }
  if (restorePoint && project) out(wayBackTo(project, restorePoint));
}
