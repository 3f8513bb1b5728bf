import { setTimeout } from 'node:timers/promises';
import { shuffle } from 'lodash';
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

/** From here on a connection is asked whether it is still there. */
const IDLE_MS = 1_050;

type Times = Record<string, number[]>;

async function queryOnce(database: PluginDatabase): Promise<number> {
  const begin = performance.now();
  await database.query('select 1');
  return performance.now() - begin;
}

/** In turns, on one connection each; the floor twice, to show the noise. */
async function inTurns(
  databases: [Entry['name'], PluginDatabase][],
  rounds: number,
  pause: () => Promise<unknown>,
): Promise<Times> {
  const found: Times = Object.fromEntries(
    databases.map(([name]) => [name, []]),
  );
  for (let round = 0; round < rounds; round++) {
    await pause();
    for (const [name, database] of shuffle(databases)) {
      found[name].push(await queryOnce(database));
    }
  }
  return found;
}

async function measure({ laboratory, quick }: Context) {
  const settings = { poolMax: 1 };
  const one = { laboratory, pluginIds: [PLUGIN], settings };
  const target = await laboratory.target();
  return withPlugins({ ...one, contender: staticKnex }, async floor =>
    withPlugins({ ...one, contender: staticKnex }, async again => {
      const running = await lakebaseModule.start(target, settings);
      try {
        const databases: [Entry['name'], PluginDatabase][] = [
          ['static', floor.databases[0]],
          ['ours', await running.open(PLUGIN)],
          [AGAIN, again.databases[0]],
        ];
        const none = () => Promise.resolve();
        await inTurns(databases, 200, none);
        return {
          busy: await inTurns(databases, quick ? 200 : 5_000, none),
          idle: await inTurns(databases, quick ? 3 : 40, () =>
            setTimeout(IDLE_MS),
          ),
        };
      } finally {
        await running.stop();
      }
    }),
  );
}

export const idleBenchmark: Benchmark = {
  name: 'idle',
  title: 'Whether an idle connection is still there',
  async run(context) {
    const found = await measure(context);
    const added = (times: Times, name: string) =>
      medianDifference(times[name], times.static);
    const busy = added(found.busy, 'ours');
    const noise = Math.abs(added(found.busy, AGAIN));
    return {
      method:
        `select 1, ${found.busy.ours.length} times one after the other, and ` +
        `${found.idle.ours.length} times after ${IDLE_MS} ms of idleness, one ` +
        'connection each, in turns. In ms',
      tables: [
        {
          columns: ['', '', 'p50', 'p99', 'p50 against static'],
          rows: Object.entries(found).flatMap(([state, times]) =>
            Object.keys(times).map(name => {
              const { p50, p99 } = percentiles(times[name]);
              return [
                state,
                name,
                p50.toFixed(3),
                p99.toFixed(3),
                added(times, name).toFixed(3),
              ];
            }),
          ),
        },
      ],
      targets: [
        {
          promise: 'a connection in use is asked nothing: below 0.01 ms at p50',
          found: `${busy.toFixed(3)} ms in the median pair, static against itself ${noise.toFixed(3)} ms`,
          met: busy < 0.01 + noise,
        },
      ],
    };
  },
};
