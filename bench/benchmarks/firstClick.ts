import { setTimeout as pause } from 'node:timers/promises';
import {
  backstageStatic,
  lakebaseModule,
  type PluginDatabase,
} from '../../testbed/contenders';
import { overLinks } from '../measure/delayedLink';
import { median } from '../measure/statistics';
import type { Benchmark, Context } from './benchmark';

const ROUND_TRIPS_MS = [0, 5, 20];
const WAKE_MS = 500;

/** From here on an idle connection is asked whether it is still there. */
const IDLE_MS = 1_050;

/** As cheap as the queries behind a page, and nobody needs tables for them. */
const CATALOG = `select count(*) from pg_class where relname like 'e%'`;
const SEARCH = `select to_tsvector('a portal') @@ to_tsquery('portal')`;

/** What the portal comes from, each with the round trips that it costs. */
const STATES: [
  name: string,
  bringAbout: (context: Context) => Promise<void>,
][] = [
  ['connections open', () => pause(IDLE_MS)],
  ['no connection, awake', c => c.laboratory.dropConnections()],
  ['no connection, asleep', c => c.laboratory.suspend(WAKE_MS)],
];

/** One that lists entities, and then one that searches. */
async function click(catalog: PluginDatabase, search: PluginDatabase) {
  const begin = performance.now();
  await catalog.query(CATALOG);
  await search.query(SEARCH);
  return performance.now() - begin;
}

/** By round trip, then by state. */
type Times = Map<number, number[]>;

async function measure(
  context: Context,
  contender: typeof lakebaseModule,
): Promise<Times> {
  const { laboratory, quick } = context;
  const times = quick ? 2 : 11;
  const found: Times = new Map();
  await overLinks(
    await laboratory.target(),
    ROUND_TRIPS_MS,
    async (target, roundTripMs) => {
      const running = await contender.start(target, { poolMax: 5 });
      try {
        const catalog = await running.open('catalog');
        const search = await running.open('search');
        await click(catalog, search);
        const medians: number[] = [];
        for (const [, bringAbout] of STATES) {
          const clicks: number[] = [];
          for (let i = 0; i < times; i++) {
            await bringAbout(context);
            await pause(3 * roundTripMs + 20);
            clicks.push(await click(catalog, search));
          }
          medians.push(median(clicks));
        }
        found.set(roundTripMs, medians);
      } finally {
        await running.stop();
      }
    },
  );
  return found;
}

const FAR_MS = Math.max(...ROUND_TRIPS_MS);

export const firstClickBenchmark: Benchmark = {
  name: 'firstClick',
  title: 'The first click after a while',
  async run(context) {
    await context.laboratory.prepare({
      credentialLifeMs: 3_600_000,
      mintLatencyMs: 0,
      pluginIds: ['catalog', 'search'],
    });
    const found = new Map<string, Times>();
    const measured = async (name: string, contender: typeof lakebaseModule) =>
      found.set(name, await measure(context, contender));
    await measured('static', backstageStatic);
    await measured('ours', lakebaseModule);
    await context.laboratory.takeShortcuts(false);
    await measured('ours, no short cut taken', lakebaseModule);

    const ms = (name: string, roundTripMs: number, state: number) =>
      found.get(name)!.get(roundTripMs)![state];
    const trips = (name: string, state: number) =>
      (ms(name, FAR_MS, state) - ms(name, 0, state)) / FAR_MS;
    return {
      method:
        'One query of the catalog and then one of search, each on the pool of ' +
        'its plugin: with connections that were idle for a second, without, and ' +
        `on a compute that takes ${WAKE_MS} ms to wake. Static is Backstage's ` +
        'own connector with a password that never changes. Medians; round trips ' +
        `are what a link of ${FAR_MS} ms adds`,
      tables: [
        {
          columns: [
            '',
            '',
            ...ROUND_TRIPS_MS.map(each => `ms at a round trip of ${each} ms`),
            'round trips',
          ],
          rows: STATES.flatMap(([state], index) =>
            [...found.keys()].map(name => [
              state,
              name,
              ...ROUND_TRIPS_MS.map(each => ms(name, each, index).toFixed(1)),
              trips(name, index).toFixed(1),
            ]),
          ),
        },
      ],
      targets: [
        ...STATES.slice(1).map(([state], index) => ({
          promise: `${state}: fewer round trips than Backstage's own connector`,
          found: `${trips('ours', index + 1).toFixed(1)} against ${trips('static', index + 1).toFixed(1)}`,
          met: trips('ours', index + 1) < trips('static', index + 1) - 0.5,
        })),
        {
          promise: `${STATES[0][0]}: at most one more for each`,
          found: `${trips('ours', 0).toFixed(1)} against ${trips('static', 0).toFixed(1)}`,
          met: trips('ours', 0) < trips('static', 0) + 2.5,
        },
      ],
    };
  },
};
