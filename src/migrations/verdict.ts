import { sumBy } from 'lodash';
import type { SetReport } from './rehearsal';
import type { MigrationReport } from './report';

/** What an upgrade may do without anybody being asked. */
export interface Limits {
  /** How long a start may take. */
  startBudgetMs: number;
  /** How long a table may be blocked. */
  maxBlockedMs: number;
  /** Plugins that may lose data. */
  acceptLoss: readonly string[];
}

export type VerdictKind =
  | 'safe'
  | 'needs-window'
  | 'exceeds-start-budget'
  | 'breaks-views'
  | 'loses-data'
  | 'fails';

export interface Verdict {
  kind: VerdictKind;
  /** In one line. */
  text: string;
}

/**
 * The worst that can be said of an upgrade.
 *
 * @param brokenViews - what reads the tables from outside, in words.
 */
export function judge(
  sets: readonly SetReport[],
  limits: Limits,
  brokenViews: readonly string[] = [],
): Verdict {
  const failed = sets.find(failureOf);
  if (failed) {
    const { set } = failed;
    return {
      kind: 'fails',
      text: `fails: plugin ${set.plugin}, ${failureOf(failed)}`,
    };
  }
  const losing = sets
    .filter(({ set }) => !limits.acceptLoss.includes(set.plugin))
    .flatMap(({ set, migrations }) =>
      migrations
        .filter(({ lost }) => lost.length > 0)
        .map(
          ({ file, lost }) =>
            `plugin ${set.plugin}, ${file}: ${lost.join(', ')}`,
        ),
    );
  if (losing.length > 0) {
    return { kind: 'loses-data', text: `loses data: ${losing.join('; ')}` };
  }
  if (brokenViews.length > 0) {
    return {
      kind: 'breaks-views',
      text: `breaks views of analysts: ${brokenViews.join('; ')}; the portal does not need them`,
    };
  }
  const all = sets.flatMap(({ migrations }) => migrations);
  const totalMs = sumBy(all, 'ms');
  if (totalMs > limits.startBudgetMs) {
    return {
      kind: 'exceeds-start-budget',
      text: `exceeds the start budget: the migrations take ${inSeconds(totalMs)}, and ${inSeconds(limits.startBudgetMs)} are allowed`,
    };
  }
  const longest = longestBlock(sets);
  if (longest.ms > limits.maxBlockedMs) {
    return {
      kind: 'needs-window',
      text: `needs a window of ${Math.ceil(longest.ms / 1_000)} seconds: ${longest.what} of ${longest.table} are blocked for ${inSeconds(longest.ms)}`,
    };
  }
  return {
    kind: 'safe',
    text:
      all.length === 0
        ? 'safe: nothing is pending'
        : `safe: ${all.length} ${all.length === 1 ? 'migration' : 'migrations'} in ${inSeconds(totalMs)}, no table blocked for longer than ${inSeconds(longest.ms)}`,
  };
}

function failureOf({ error, migrations }: SetReport): string | undefined {
  if (error !== undefined) return error;
  const failed = migrations.find(it => it.error !== undefined);
  return failed && `${failed.file}: ${failed.error}`;
}

interface Block {
  table: string;
  what: 'reads' | 'writes';
  ms: number;
}

/** One transaction for several migrations blocks for the sum of them. */
function longestBlock(sets: readonly SetReport[]): Block {
  let longest: Block = { table: '', what: 'writes', ms: 0 };
  for (const { migrations } of sets) {
    const together = migrations.every(it => it.transactional);
    const groups = together ? [migrations] : migrations.map(it => [it]);
    for (const group of groups) {
      for (const block of blocksOf(group)) {
        if (block.ms > longest.ms) longest = block;
      }
    }
  }
  return longest;
}

function blocksOf(migrations: readonly MigrationReport[]): Block[] {
  const all = migrations.flatMap(({ blocked }) => blocked);
  return [...new Set(all.map(({ table }) => table))].flatMap(table => {
    const these = all.filter(it => it.table === table);
    return [
      { table, what: 'reads', ms: sumBy(these, 'readsMs') },
      { table, what: 'writes', ms: sumBy(these, 'writesMs') },
    ] satisfies Block[];
  });
}

export const inSeconds = (ms: number): string => {
  const seconds = ms / 1_000;
  return `${seconds < 10 ? seconds.toFixed(2) : Math.round(seconds)} s`;
};
