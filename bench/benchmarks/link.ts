import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from 'pg';
import {
  databricksPool,
  expirationChecker,
  lakebaseModule,
  staticKnex,
  type Contender,
  type PluginDatabase,
  type Running,
} from '../../testbed/contenders';
import { overLinks } from '../measure/delayedLink';
import { pluginIdsOf } from '../measure/run';
import { median } from '../measure/statistics';
import type { Benchmark, Context } from './benchmark';

const [PLUGIN] = pluginIdsOf(1);

/** Of the links, by their round trip; the last one is what the targets are of. */
const ROUND_TRIPS_MS = [0, 5, 10, 20];
const FAR_MS = 20;

/** Until everybody has heard of the end of their connections. */
const CLOSED_AFTER = 3;

interface RawConnections {
  version?: string;
  acquireRawConnection(): Promise<Client>;
  destroyRawConnection(connection: Client): Promise<void>;
}

interface Variant {
  name: string;
  contender: Contender;
  /** Whether the gateway takes TLS at once, and options with the login. */
  shortcuts: boolean;
}

const STATIC: Variant = {
  name: 'static',
  contender: staticKnex,
  shortcuts: true,
};
const OURS: Variant = {
  name: 'ours',
  contender: lakebaseModule,
  shortcuts: true,
};
const USUAL_WAY: Variant = {
  name: 'ours, where the gateway takes no short cut',
  contender: lakebaseModule,
  shortcuts: false,
};
const PEERS: Variant[] = [expirationChecker, databricksPool]
  .filter(({ unavailable }) => !unavailable)
  .map(contender => ({ name: contender.name, contender, shortcuts: true }));

/** The first connection of a Knex, and the later ones. */
async function connectTimes({ knex }: PluginDatabase, times: number) {
  const client = knex!.client as RawConnections;
  const connect = async () => {
    const begin = performance.now();
    const connection = await client.acquireRawConnection();
    const tookMs = performance.now() - begin;
    await client.destroyRawConnection(connection);
    return tookMs;
  };
  const first: number[] = [];
  const later: number[] = [];
  for (let i = 0; i < times; i++) {
    // As in a pool that has had no connection yet.
    client.version = undefined;
    first.push(await connect());
    later.push(await connect());
  }
  return { first: median(first), later: median(later) };
}

/** One query each time, for which a connection has to be opened. */
async function firstQueryMs(
  { laboratory }: Context,
  database: PluginDatabase,
  roundTripMs: number,
  times: number,
): Promise<number> {
  const found: number[] = [];
  for (let i = 0; i < times; i++) {
    await laboratory.dropConnections();
    await pause(CLOSED_AFTER * roundTripMs + 20);
    const begin = performance.now();
    await database.query('select 1');
    found.push(performance.now() - begin);
  }
  return median(found);
}

interface Found {
  variant: Variant;
  /** By round trip. */
  firstQueries: [number, number][];
  far?: { first: number; later: number };
}

async function measure(context: Context, variant: Variant): Promise<Found> {
  const { laboratory, quick } = context;
  const times = quick ? 3 : 15;
  await laboratory.takeShortcuts(variant.shortcuts);
  const found: Found = { variant, firstQueries: [] };
  await overLinks(
    await laboratory.target(),
    ROUND_TRIPS_MS,
    async (target, ms) => {
      const running: Running = await variant.contender.start(target, {
        poolMax: 1,
      });
      try {
        const database = await running.open(PLUGIN);
        await database.query('select 1');
        const tookMs = await firstQueryMs(context, database, ms, times);
        found.firstQueries.push([ms, tookMs]);
        if (ms === FAR_MS && database.knex) {
          found.far = await connectTimes(database, times);
        }
      } finally {
        await running.stop();
      }
    },
  );
  return found;
}

const trips = (ms: number) => (ms / FAR_MS).toFixed(1);

export const linkBenchmark: Benchmark = {
  name: 'link',
  title: 'Opening a connection over a link',
  async run(context) {
    await context.laboratory.prepare({
      credentialLifeMs: 3_600_000,
      mintLatencyMs: 0,
      pluginIds: [PLUGIN],
    });
    const found: Found[] = [];
    for (const variant of [STATIC, ...PEERS, USUAL_WAY, OURS]) {
      found.push(await measure(context, variant));
    }
    const far = (variant: Variant) =>
      found.find(each => each.variant === variant)!.far!;
    return {
      method:
        'A proxy between client and gateway delays each byte; the round trip ' +
        'of TCP is counted in the first. Medians. A short cut is TLS without ' +
        'the request for it, or the search path in the startup packet: ours ' +
        'finds out whether the gateway takes them',
      tables: [
        {
          columns: [
            'first query without a connection, ms',
            ...ROUND_TRIPS_MS.map(ms => `round trip of ${ms} ms`),
          ],
          rows: found.map(({ variant, firstQueries }) => [
            variant.name,
            ...firstQueries.map(([, ms]) => ms.toFixed(1)),
          ]),
        },
        {
          columns: [
            `connections over ${FAR_MS} ms, round trips`,
            'first of a pool',
            'later ones',
          ],
          rows: found.flatMap(({ variant, far: times }) =>
            times
              ? [[variant.name, trips(times.first), trips(times.later)]]
              : [],
          ),
        },
      ],
      targets: [
        {
          promise: 'at most 5.4 round trips, where the gateway allows it',
          found: `${trips(far(OURS).later)}, static ${trips(far(STATIC).later)}`,
          met: far(OURS).later <= 5.4 * FAR_MS,
        },
        {
          promise:
            'no round trip beyond those of stock Knex, where it does not',
          found: `${trips(far(USUAL_WAY).later)}, static ${trips(far(STATIC).later)}`,
          met: far(USUAL_WAY).later - far(STATIC).later < FAR_MS / 2,
        },
      ],
      plots: [
        {
          name: 'opening-a-connection',
          title: 'First query without a connection',
          x: 'round trip to the endpoint, ms',
          y: 'ms',
          lines: found.map(({ variant, firstQueries }) => ({
            name: variant.name,
            points: firstQueries,
          })),
        },
      ],
    };
  },
};
