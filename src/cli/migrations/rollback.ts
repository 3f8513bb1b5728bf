import { findInstalledMigrations } from '../../migrations/installedMigrations';
import { findInvalidIndexes } from '../../migrations/invalidIndexes';
import {
  type DownKind,
  kindOfDown,
  planTakeBack,
  rehearseTakeBack,
  takeBack,
  type TakeBack,
} from '../../migrations/takeBack';
import { inSeconds } from '../../migrations/verdict';
import { onOneLine } from '../../texts';
import { inProject, type Project } from '../branch/project';
import { EXIT } from '../exitCodes';
import type { Terminal } from '../terminal';
import { cancelling } from './cancelling';
import { onCopy } from './copy';
import type { Portal } from './portal';
import { checkDatabases, onProduction } from './production';
import { makeRestorePoint, wayBackTo } from './restorePoint';

export interface RollbackOptions {
  config?: string[];
  backend: string;
  to: string;
  yes: boolean;
  unrehearsed: boolean;
  restorePoint: boolean;
  acceptLoss?: string[];
  json: boolean;
}

interface Outcome {
  plugin: string;
  migrations: { file: string; down: DownKind }[];
  /** Unknown without a rehearsal. */
  lost?: string[];
  /** Those that are taken back now. */
  done: string[];
  error?: string;
  invalidIndexes?: string[];
}

/** Runs the `down` of migrations, so that an older version starts again. */
export function rollback(
  options: RollbackOptions,
  terminal: Terminal,
): Promise<number> {
  return inProject(options.config, terminal, async (project, signal) => {
    const folders = await findInstalledMigrations(options.backend);
    return onProduction(project, terminal, async portal => {
      const plan = planTakeBack(await portal.plan(folders), options.to);
      const run = new Rollback(options, terminal, project, signal, plan);
      return run.onProduction(portal);
    });
  });
}

class Rollback {
  readonly #options: RollbackOptions;
  readonly #terminal: Terminal;
  readonly #project: Project;
  readonly #signal: AbortSignal;
  readonly #plan: TakeBack;
  readonly #outcome: Outcome;

  constructor(
    options: RollbackOptions,
    terminal: Terminal,
    project: Project,
    signal: AbortSignal,
    plan: TakeBack,
  ) {
    this.#options = options;
    this.#terminal = terminal;
    this.#project = project;
    this.#signal = signal;
    this.#plan = plan;
    const { set, files } = plan;
    this.#outcome = {
      plugin: set.plugin,
      migrations: files.map(file => ({ file, down: kindOfDown(set, file) })),
      done: [],
    };
  }

  async onProduction(portal: Portal): Promise<number> {
    const { plugin, migrations } = this.#outcome;
    const { yes, unrehearsed, acceptLoss = [] } = this.#options;
    for (const { file, down } of migrations) {
      this.#terminal.error(`  ${plugin}  ${file}${SAID_OF[down]}`);
    }
    if (migrations.length === 0)
      return this.#tell('Nothing is to be taken back');
    const stuck = migrations.find(
      ({ down }) => down === 'missing' || down === 'throws',
    );
    if (stuck) {
      this.#outcome.error = `${stuck.file} cannot be taken back: its down ${stuck.down === 'missing' ? 'is missing' : 'throws'}`;
      return this.#tell(`${this.#outcome.error}; nothing was changed`);
    }
    if (!unrehearsed) await this.#rehearse();
    if (this.#outcome.error !== undefined) {
      return this.#tell(
        `The rehearsal failed: ${this.#outcome.error}; nothing was changed`,
      );
    }
    const { lost } = this.#outcome;
    const accepted = acceptLoss.includes(plugin);
    if (!accepted && lost?.length !== 0) {
      this.#tell(
        lost
          ? 'Nothing was changed'
          : 'Without a rehearsal nobody knows what is lost; nothing was changed',
        `--accept-loss ${plugin} accepts that`,
      );
      return EXIT.finding;
    }
    if (!yes) return this.#tell('Nothing was changed; --yes does it');
    return this.#run(portal);
  }

  async #rehearse(): Promise<void> {
    const { config } = this.#options;
    const surroundings = {
      project: this.#project,
      terminal: this.#terminal,
      signal: this.#signal,
    };
    await onCopy({ config, keep: false }, surroundings, async copy => {
      const { plugin, database } = this.#plan.set;
      await copy.prove([database]);
      const knex = await copy.portal.knexOf(plugin);
      try {
        this.#outcome.lost = await rehearseTakeBack(
          knex,
          this.#plan,
          this.#progress(),
        );
      } catch (error) {
        this.#signal.throwIfAborted();
        this.#outcome.error = onOneLine(error);
      }
    });
  }

  async #run(portal: Portal): Promise<number> {
    const { set } = this.#plan;
    const { clock } = this.#terminal;
    await checkDatabases(portal, [set], this.#terminal);
    const restorePoint = this.#options.restorePoint
      ? await makeRestorePoint(
          this.#project,
          this.#options.backend,
          this.#terminal,
        )
      : undefined;
    this.#signal.throwIfAborted();
    const opened = await portal.access.open(set.database);
    const knex = await portal.knexOf(set.plugin);
    const interruption = { signal: this.#signal, clock };
    const progress = this.#progress(this.#outcome.done);
    try {
      await cancelling(knex, opened, interruption, () =>
        takeBack(knex, this.#plan, progress),
      );
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#outcome.error = onOneLine(error);
      this.#outcome.invalidIndexes = await findInvalidIndexes(
        set.schema,
        opened,
      );
    }
    const back = restorePoint && wayBackTo(this.#project, restorePoint);
    const { error, done } = this.#outcome;
    return this.#tell(
      error === undefined
        ? `${done.length} migrations of plugin ${set.plugin} are taken back`
        : `It failed: ${error}; taken back are ${done.join(', ') || 'none'}`,
      ...(back === undefined ? [] : [back]),
    );
  }

  #progress(done: string[] = []) {
    const { clock, error } = this.#terminal;
    let begin = 0;
    return {
      before: () => {
        this.#signal.throwIfAborted();
        begin = clock.monotonic();
      },
      after: (file: string) => {
        done.push(file);
        error(`  down  ${file}  ${inSeconds(clock.monotonic() - begin)}`);
      },
    };
  }

  #tell(...lines: string[]): number {
    const { lost, error } = this.#outcome;
    if (this.#options.json) {
      this.#terminal.out(
        JSON.stringify({ version: 1, ...this.#outcome }, undefined, 2),
      );
    } else {
      const losses = (lost ?? []).map(what => `Lost: ${what}`);
      this.#terminal.out([...losses, ...lines].join('\n'));
    }
    return error === undefined ? EXIT.ok : EXIT.finding;
  }
}

const SAID_OF: Record<DownKind, string> = {
  missing: ' (has no down)',
  nothing: ' (its down does nothing)',
  throws: ' (its down throws)',
  some: '',
};
