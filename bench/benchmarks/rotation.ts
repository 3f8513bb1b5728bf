import { groupBy, maxBy, sumBy } from 'lodash';
import {
  AGAIN,
  entriesOf,
  interleave,
  type Entry,
} from '../measure/interleave';
import { failuresOf, steadyLoad, type Query } from '../measure/load';
import { fillPools, pluginIdsOf, withPlugins } from '../measure/run';
import { highest, percentiles, ratio, withSpread } from '../measure/statistics';
import type { Benchmark, Context, Line } from './benchmark';

const PLUGINS = 5;
const CONNECTIONS = 5;
const THINK_MS = 20;
const LIFE_MS = 6_000;
const MINT_LATENCY_MS = 500;

/** Nothing else takes nearly as long as a mint here. */
const WAITED_MS = 0.8 * MINT_LATENCY_MS;

const BUCKET_MS = 100;

interface Rotation {
  queries: Query[];
  startedAt: number;
  mints: number;
  /** Connections that ended, and new ones, since all were open. */
  closed: number;
  opened: number;
}

async function rotation(
  { laboratory }: Context,
  { contender }: Entry,
  durationMs: number,
): Promise<Rotation> {
  const pluginIds = pluginIdsOf(PLUGINS);
  return withPlugins(
    {
      laboratory,
      contender,
      pluginIds,
      settings: { poolMax: CONNECTIONS },
      lifeMs: LIFE_MS,
      mintLatencyMs: MINT_LATENCY_MS,
    },
    async ({ databases }) => {
      await fillPools(databases, CONNECTIONS, 300);
      await laboratory.watch();
      const startedAt = Date.now();
      const queries = await steadyLoad({
        databases,
        durationMs,
        clientsPerPlugin: CONNECTIONS,
        thinkMs: THINK_MS,
      });
      const { mints, closed, logins } = await laboratory.observed();
      return { queries, startedAt, mints, closed, opened: logins };
    },
  );
}

const waitedIn = ({ queries }: Rotation) =>
  queries.filter(({ latencyMs }) => latencyMs > WAITED_MS).length;

/** The slowest query of each tenth of a second. */
function slowest(name: string, { queries, startedAt }: Rotation): Line {
  const buckets = groupBy(queries, ({ at }) =>
    Math.floor((at - startedAt) / BUCKET_MS),
  );
  return {
    name,
    points: Object.entries(buckets).map(([bucket, inside]) => [
      (Number(bucket) * BUCKET_MS) / 1000,
      maxBy(inside, 'latencyMs')!.latencyMs,
    ]),
  };
}

export const rotationBenchmark: Benchmark = {
  name: 'rotation',
  title: 'Rotations under steady load',
  async run(context) {
    const rounds = context.quick ? 1 : 2;
    // A credential is renewed after half of a short life: 5 times in 17 s.
    const durationMs = context.quick ? 7_000 : 17_000;
    const entries = entriesOf(() => true);
    const results = await interleave(entries, rounds, entry =>
      rotation(context, entry, durationMs),
    );
    const percentilesOf = (name: string) =>
      results
        .get(name)!
        .map(({ queries }) =>
          percentiles(queries.map(({ latencyMs }) => latencyMs)),
        );
    const valuesOf = (name: string, which: 'p50' | 'p99' | 'p999' | 'max') =>
      percentilesOf(name).map(found => found[which]);
    const total = (name: string, count: (run: Rotation) => number) =>
      sumBy(results.get(name), count);
    const withinFloor = (which: 'p999' | 'max', promise: string) => {
      const floor = [...valuesOf('static', which), ...valuesOf(AGAIN, which)];
      const ours = valuesOf('ours', which);
      return {
        promise,
        found:
          `${withSpread(ours)} ms, static ${withSpread(floor)} ms, ` +
          `A/A ${ratio(valuesOf(AGAIN, which), valuesOf('static', which)).toFixed(2)}`,
        met: Math.min(...ours) <= highest(floor),
      };
    };
    return {
      method:
        `${PLUGINS} plugins with ${CONNECTIONS} connections, ` +
        `${PLUGINS * CONNECTIONS} clients that think for ${THINK_MS} ms, ` +
        `credentials of ${LIFE_MS / 1000} s, a mint takes ${MINT_LATENCY_MS} ms, ` +
        `${rounds} runs of ${durationMs / 1000} s each. Closed: connections ` +
        'that a rotation took away. Latencies in ms, the median and the range of the runs',
      tables: [
        {
          columns: [
            '',
            'queries',
            'failed',
            'waited for a mint',
            'p50',
            'p99',
            'p99.9',
            'max',
            'mints',
            'closed',
            'opened',
          ],
          rows: entries.map(({ name }) => [
            name,
            total(name, ({ queries }) => queries.length),
            total(name, ({ queries }) => failuresOf(queries).length),
            total(name, waitedIn),
            withSpread(valuesOf(name, 'p50')),
            withSpread(valuesOf(name, 'p99')),
            withSpread(valuesOf(name, 'p999')),
            withSpread(valuesOf(name, 'max')),
            total(name, ({ mints }) => mints),
            total(name, ({ closed }) => closed),
            total(name, ({ opened }) => opened),
          ]),
        },
      ],
      targets: [
        {
          promise: 'no query waits for a mint',
          found: `${total('ours', waitedIn)} in ${total('ours', ({ mints }) => mints)} rotations`,
          met: total('ours', waitedIn) === 0,
        },
        withinFloor('p999', 'p99.9 as with a static password'),
        withinFloor('max', 'maximum as with a static password'),
        {
          promise: 'a rotation closes no connection',
          found: `${total('ours', ({ closed }) => closed)}`,
          met: total('ours', ({ closed }) => closed) === 0,
        },
      ],
      plots: [
        {
          name: 'latency-across-rotations',
          title: 'Slowest query of each tenth of a second, across rotations',
          x: 'seconds',
          y: 'milliseconds',
          logarithmic: true,
          lines: entries
            .filter(({ name }) => name !== AGAIN && name !== 'backstage')
            .map(({ name }) => slowest(name, results.get(name)![0])),
        },
      ],
    };
  },
};
