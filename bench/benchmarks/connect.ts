import { shuffle } from 'lodash';
import type { Client } from 'pg';
import {
  lakebaseModule,
  staticKnex,
  type PluginDatabase,
} from '../../testbed/contenders';
import { AGAIN, type Entry } from '../measure/interleave';
import { withPlugins } from '../measure/run';
import { medianDifference, percentiles } from '../measure/statistics';
import type { Benchmark, Context } from './benchmark';

const PLUGIN = 'plugin_1';

/** What Knex makes a connection with; ours is hooked in right there. */
interface RawConnections {
  acquireRawConnection(): Promise<Client>;
  destroyRawConnection(connection: Client): Promise<void>;
}

async function connectOnce({ knex }: PluginDatabase): Promise<number> {
  const client = knex!.client as RawConnections;
  const begin = performance.now();
  const connection = await client.acquireRawConnection();
  const tookMs = performance.now() - begin;
  await client.destroyRawConnection(connection);
  return tookMs;
}

type Times = Record<string, number[]>;

/** All are open at once, and connect in turns, in any order. */
async function measure(context: Context, times: number): Promise<Times> {
  const { laboratory } = context;
  const found: Times = { static: [], [AGAIN]: [], ours: [] };
  // Else one query less would hide what ours costs.
  await laboratory.takeShortcuts(false);
  const options = {
    laboratory,
    pluginIds: [PLUGIN],
    settings: { poolMax: 1 },
  };
  const target = await laboratory.target();
  await withPlugins({ ...options, contender: staticKnex }, async floor => {
    const running = await lakebaseModule.start(target, options.settings);
    try {
      const turns: [Entry['name'], PluginDatabase][] = [
        ['static', floor.databases[0]],
        ['ours', await running.open(PLUGIN)],
        [AGAIN, floor.databases[0]],
      ];
      for (const [, database] of turns) await connectOnce(database);
      for (let i = 0; i < times; i++) {
        for (const [name, database] of shuffle(turns)) {
          found[name].push(await connectOnce(database));
        }
      }
    } finally {
      await running.stop();
    }
  });
  return found;
}

export const connectBenchmark: Benchmark = {
  name: 'connect',
  title: 'Opening one connection with a token in memory',
  async run(context) {
    const times = context.quick ? 50 : 500;
    const found = await measure(context, times);
    const mid = (name: string) => percentiles(found[name]).p50;
    const added = medianDifference(found.ours, found.static);
    const noise = medianDifference(found[AGAIN], found.static);
    return {
      method:
        `${times} connections each, one at a time and in turns: TCP, TLS, ` +
        'login, search path, at a gateway that takes no short cut. In ms',
      tables: [
        {
          columns: ['', 'p50', 'p99', 'max', 'p50 against static'],
          rows: Object.keys(found).map(name => {
            const { p50, p99, max } = percentiles(found[name]);
            return [
              name,
              ...[p50, p99, max].map(value => value.toFixed(2)),
              (p50 - mid('static')).toFixed(2),
            ];
          }),
        },
      ],
      targets: [
        {
          promise: 'adds less than 0.2 ms at p50',
          found: `${added.toFixed(2)} ms in the median pair, static against itself ${noise.toFixed(2)} ms`,
          met: added < 0.2,
        },
      ],
    };
  },
};
