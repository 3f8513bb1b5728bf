import { uniq } from 'lodash';
import {
  AGAIN,
  entriesOf,
  interleave,
  type Entry,
} from '../measure/interleave';
import { fillPools, pluginIdsOf, withPlugins } from '../measure/run';
import { highest, median, ratio, withSpread } from '../measure/statistics';
import type { Benchmark, Context } from './benchmark';

const PLUGINS = 20;
const CONNECTIONS = 5;
const MINT_LATENCY_MS = 300;

/** Longer than it takes to open all connections, so that none serves twice. */
const HOLD_MS = 2_500;

interface ColdStart {
  firstRowsMs: number;
  mints: number;
  logins: number;
}

async function coldStart(
  { laboratory }: Context,
  { contender }: Entry,
): Promise<ColdStart> {
  const pluginIds = pluginIdsOf(PLUGINS);
  const settings = { poolMax: CONNECTIONS };
  return withPlugins(
    {
      laboratory,
      contender,
      pluginIds,
      settings,
      mintLatencyMs: MINT_LATENCY_MS,
    },
    async ({ databases, startedAt }) => {
      const rows = await fillPools(databases, CONNECTIONS, HOLD_MS);
      if (uniq(rows.map(({ pid }) => pid)).length < PLUGINS * CONNECTIONS) {
        throw new Error('A connection served twice: HOLD_MS is too short here');
      }
      const { mints, logins } = await laboratory.observed();
      const last = highest(rows.map(({ at }) => at as number));
      return { firstRowsMs: last - startedAt, mints, logins };
    },
  );
}

export const coldStartBenchmark: Benchmark = {
  name: 'cold-start',
  title: 'Cold start',
  async run(context) {
    const rounds = context.quick ? 1 : 3;
    const entries = entriesOf(() => true);
    const results = await interleave(entries, rounds, entry =>
      coldStart(context, entry),
    );
    const timesOf = (name: string) =>
      results.get(name)!.map(({ firstRowsMs }) => firstRowsMs);
    const mintsOf = (name: string) =>
      results.get(name)!.map(({ mints }) => mints);
    const noise = ratio(timesOf(AGAIN), timesOf('static'));
    const floor = highest([...timesOf('static'), ...timesOf(AGAIN)]);
    const ours = median(timesOf('ours'));
    return {
      method:
        `${PLUGINS} plugins open ${CONNECTIONS} connections each at once; a ` +
        `mint takes ${MINT_LATENCY_MS} ms. Time until every connection has ` +
        'been told its first row. Backstage and ours also look for the schema ' +
        'of each plugin first, on a connection that is used again',
      tables: [
        {
          columns: ['', 'first rows, ms', 'against static', 'mints', 'logins'],
          rows: entries.map(({ name }) => [
            name,
            withSpread(timesOf(name), 0),
            ratio(timesOf(name), timesOf('static')).toFixed(2),
            highest(mintsOf(name)),
            highest(results.get(name)!.map(({ logins }) => logins)),
          ]),
        },
      ],
      targets: [
        {
          promise: 'one mint',
          found: `${highest(mintsOf('ours'))}`,
          met: highest(mintsOf('ours')) === 1,
        },
        {
          promise: 'at most static and the latency of one mint',
          found: `${ours.toFixed(0)} ms, static up to ${floor.toFixed(0)} ms, A/A ${noise.toFixed(2)}`,
          met: ours <= floor + MINT_LATENCY_MS,
        },
      ],
    };
  },
};
