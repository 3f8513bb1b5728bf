import type { Knex } from 'knex';
import { ConfigurationError } from '../errors';
import type { MigrationPlan, MigrationSet } from './migrationPlan';
import { queriesOf } from './queries';
import { loadMigration, migrateDown } from './runMigrations';
import { dataLost, takeSnapshot } from './snapshot';

/** What is to be taken back. */
export interface TakeBack {
  set: MigrationSet;
  /** The newest first. */
  files: string[];
}

/** What is known of a `down` before it runs. */
export type DownKind = 'missing' | 'nothing' | 'throws' | 'some';

const TARGET = /^([^:@]+)(?::(.+)|@(previous))$/;

/**
 * Reads `PLUGIN:MIGRATION`, which stays, or `PLUGIN@previous`, where the last
 * batch goes.
 *
 * @throws ConfigurationError that lists what there is.
 */
export function planTakeBack(plan: MigrationPlan, to: string): TakeBack {
  const [, plugin, migration, previous] = TARGET.exec(to) ?? [];
  if (!plugin) {
    throw new ConfigurationError(
      `--to '${to}' is no migration`,
      'Give PLUGIN:MIGRATION, whose migration stays, or PLUGIN@previous',
    );
  }
  const sets = plan.sets.filter(set => set.plugin === plugin);
  if (sets.length === 0) {
    const known = new Set(plan.sets.map(set => set.plugin));
    throw new ConfigurationError(
      `No migrations of plugin '${plugin}' are known here`,
      `Those of these are: ${[...known].join(', ') || 'none'}`,
    );
  }
  const set = previous
    ? (sets.find(({ table }) => table === 'knex_migrations') ?? sets[0])
    : sets.find(it => positionOf(it, migration) >= 0);
  if (!set) {
    const applied = sets.flatMap(it => it.applied.map(({ name }) => name));
    throw new ConfigurationError(
      `Plugin '${plugin}' has no migration '${migration}' applied`,
      `Those that are: ${applied.join(', ')}`,
    );
  }
  if (set.unknown.length > 0) {
    throw new ConfigurationError(
      `${set.folder.package} ${set.folder.version} does not have ${set.unknown.join(', ')}, so it cannot take it back`,
      'Run this from the version that applied it',
    );
  }
  const last = set.applied.at(-1)?.batch;
  const gone = previous
    ? set.applied.filter(({ batch }) => batch === last)
    : set.applied.slice(positionOf(set, migration) + 1);
  // Knex goes by the order of the files.
  const names = new Set(gone.map(({ name }) => name));
  const files = set.folder.files.filter(file => names.has(file)).reverse();
  return { set, files };
}

const positionOf = ({ applied }: MigrationSet, migration: string): number =>
  applied.findIndex(
    ({ name }) =>
      name === migration || name.replace(/\.[cm]?js$/, '') === migration,
  );

/** By its text alone: only a rehearsal knows. */
export function kindOfDown({ folder }: MigrationSet, file: string): DownKind {
  const { down } = loadMigration(folder, file);
  if (!down) return 'missing';
  const code = down.toString().replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const body = /(?:=>|\))\s*\{([\s\S]*)\}\s*$/.exec(code)?.[1].trim();
  if (body === undefined) return 'some';
  if (/^throw\b/.test(body)) return 'throws';
  return /^(return( (true|undefined|null|Promise\.resolve\([^)]*\)))?;?)?$/.test(
    body,
  )
    ? 'nothing'
    : 'some';
}

export interface TakeBackHooks {
  before(file: string): void;
  after(file: string): void;
}

/** @throws what a `down` throws; those before it stay taken back. */
export async function takeBack(
  knex: Knex,
  { set, files }: TakeBack,
  hooks: TakeBackHooks,
): Promise<void> {
  for (const expected of files) {
    await migrateDown(knex, set, {
      before: file => {
        if (file !== expected) {
          throw new Error(`${file} would go, where ${expected} was expected`);
        }
        hooks.before(file);
        return Promise.resolve();
      },
      after: file => {
        hooks.after(file);
        return Promise.resolve();
      },
    });
  }
}

/**
 * The same on a copy.
 *
 * @returns what data is lost by it, in words.
 */
export async function rehearseTakeBack(
  knex: Knex,
  plan: TakeBack,
  hooks: TakeBackHooks,
): Promise<string[]> {
  const { schema } = plan.set;
  const before = await takeSnapshot(schema, queriesOf(knex));
  await takeBack(knex, plan, hooks);
  return dataLost(before, await takeSnapshot(schema, queriesOf(knex)));
}
