import { setTimeout as delay } from 'node:timers/promises';
import {
  lakebaseModule,
  staticKnex,
  type Contender,
  type PluginDatabase,
  type Settings,
} from '../../testbed/contenders';
import type { Sample } from '../measure/laboratory';
import { failuresOf, timed, type Query } from '../measure/load';
import { pluginIdsOf, withPlugins } from '../measure/run';
import { highest, percentiles, ratio, withSpread } from '../measure/statistics';
import type { Benchmark, Context, Line, Table, Target } from './benchmark';

const PLUGINS = 40;
const BUDGET = 20;
const CONNECTIONS = 5;
const QUERY = 'select pg_sleep(0.02)';
const PAUSE_MS = 400;

/** Queries in a burst: a login is a large share of a short one. */
const BURSTS = [20, 100];

interface Variant {
  name: string;
  contender: Contender;
  settings: Settings;
  /** All the load goes through the pool of one plugin. */
  onePool?: boolean;
}

const VARIANTS: Variant[] = [
  {
    name: 'one pool of 20',
    contender: staticKnex,
    settings: { poolMax: BUDGET },
    onePool: true,
  },
  {
    name: 'ours, maxConnections 20',
    contender: lakebaseModule,
    settings: { poolMax: CONNECTIONS, maxConnections: BUDGET },
  },
  {
    name: 'static, unbounded',
    contender: staticKnex,
    settings: { poolMax: CONNECTIONS },
  },
];

interface Bursts {
  queries: Query[];
  perSecond: number;
  peak: number;
  logins: number;
  samples: Sample[];
  startedAt: number;
}

async function bursts(
  { laboratory }: Context,
  { contender, settings, onePool }: Variant,
  burst: number,
  durationMs: number,
): Promise<Bursts> {
  const pluginIds = pluginIdsOf(onePool ? 1 : PLUGINS);
  return withPlugins(
    { laboratory, contender, pluginIds, settings },
    async ({ databases }) => {
      await laboratory.watch();
      const startedAt = Date.now();
      const until = startedAt + durationMs;
      const queries: Query[] = [];
      await Promise.all(
        Array.from({ length: PLUGINS }, (_, index) =>
          plugin(databases[index % databases.length], burst, until, queries),
        ),
      );
      const tookMs = Date.now() - startedAt;
      const { samples, logins } = await laboratory.observed();
      const done = queries.length - failuresOf(queries).length;
      return {
        queries,
        samples,
        logins,
        startedAt,
        perSecond: (done / tookMs) * 1000,
        peak: highest(samples.map(({ open }) => open)),
      };
    },
  );
}

/** A plugin that has much to do now and then, as at a refresh of a provider. */
async function plugin(
  database: PluginDatabase,
  burst: number,
  until: number,
  queries: Query[],
): Promise<void> {
  while (Date.now() < until) {
    await delay(Math.random() * PAUSE_MS);
    const running = Array.from({ length: burst }, async () =>
      queries.push(await timed(() => database.query(QUERY))),
    );
    await Promise.all(running);
  }
}

const connectionsOver = (
  name: string,
  { samples, startedAt }: Bursts,
): Line => ({
  name,
  stepped: true,
  points: samples.map(({ at, open }) => [(at - startedAt) / 1000, open]),
});

export const budgetBenchmark: Benchmark = {
  name: 'budget',
  title: 'A budget of connections',
  async run(context) {
    const found: Found[] = [];
    for (const burst of BURSTS) found.push(await runBursts(context, burst));
    const [{ results }] = found;
    return {
      method:
        `${PLUGINS} plugins, each with bursts of queries of 20 ms and pauses of ` +
        `up to ${PAUSE_MS} ms; pools of ${CONNECTIONS}. The measure is one pool ` +
        `of ${BUDGET} for all of them, which never has to move a connection ` +
        'from one plugin to another',
      tables: found.map(tableOf),
      targets: found.flatMap(targetsOf),
      plots: [
        {
          name: 'connections-under-a-budget',
          title: `Connections of ${PLUGINS} plugins in bursts`,
          x: 'seconds',
          y: 'connections',
          lines: [...results]
            .slice(1)
            .map(([name, [first]]) => connectionsOver(name, first)),
          limit: { name: 'maxConnections', value: BUDGET },
        },
      ],
    };
  },
};

interface Found {
  burst: number;
  /** By the name of the variant, one for each round. */
  results: Map<string, Bursts[]>;
}

async function runBursts(context: Context, burst: number): Promise<Found> {
  const rounds = context.quick ? 1 : 2;
  const durationMs = context.quick ? 3_000 : 8_000;
  const results = new Map<string, Bursts[]>();
  for (let round = 0; round < rounds; round++) {
    for (const variant of VARIANTS) {
      const ran = await bursts(context, variant, burst, durationMs);
      results.set(variant.name, [...(results.get(variant.name) ?? []), ran]);
    }
  }
  return { burst, results };
}

const ratesOf = (runs: Bursts[]) => runs.map(({ perSecond }) => perSecond);

const tableOf = ({ burst, results }: Found): Table => ({
  columns: [
    `bursts of ${burst}`,
    'queries per second',
    'peak of connections',
    'logins',
    'failed',
    'p99 of a query, ms',
  ],
  rows: [...results].map(([name, runs]) => [
    name,
    withSpread(ratesOf(runs), 0),
    highest(runs.map(run => run.peak)),
    highest(runs.map(({ logins }) => logins)),
    highest(runs.map(({ queries }) => failuresOf(queries).length)),
    withSpread(
      runs.map(
        ({ queries }) =>
          percentiles(queries.map(({ latencyMs }) => latencyMs)).p99,
      ),
      0,
    ),
  ]),
});

function targetsOf({ burst, results }: Found): Target[] {
  const [same, ours] = VARIANTS.map(({ name }) => results.get(name)!);
  const peak = highest(ours.map(run => run.peak));
  const share = ratio(ratesOf(ours), ratesOf(same));
  return [
    {
      promise: `bursts of ${burst}: never more than ${BUDGET} connections`,
      found: `${peak}`,
      met: peak <= BUDGET,
    },
    {
      promise: `bursts of ${burst}: at least 0.9 of the throughput of one pool`,
      found: share.toFixed(2),
      met: share >= 0.9,
    },
  ];
}
