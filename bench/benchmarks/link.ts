import type { EventEmitter } from 'node:events';
import { Client, type ClientConfig } from 'pg';
import {
  lakebaseModule,
  staticKnex,
  type Contender,
  type Target,
} from '../../testbed/contenders';
import { startDelayedLink } from '../measure/delayedLink';
import { connectionOf } from '../../testbed/contenders/knexDatabase';
import { pluginIdsOf } from '../measure/run';
import { median } from '../measure/statistics';
import type { Benchmark } from './benchmark';

const ROUND_TRIP_MS = 20;
const [PLUGIN] = pluginIdsOf(1);
const SET_SEARCH_PATH = `set search_path to "${PLUGIN}"`;

interface RawConnections {
  version?: string;
  acquireRawConnection(): Promise<Client>;
  destroyRawConnection(connection: Client): Promise<void>;
}

type Step = [name: string, tookMs: number];

/** What pg tells of a login while it is under way. */
const STEPS: [event: string, name: string][] = [
  ['sslconnect', 'TCP and the request for TLS'],
  ['authenticationCleartextPassword', 'startup packet'],
  ['readyForQuery', 'password'],
];

/** pg's own view of the protocol, which its types leave out. */
type Wire = EventEmitter & { stream: EventEmitter };

/** One login with pg, as Knex would, told by its steps. */
async function loginInSteps(config: ClientConfig): Promise<Step[]> {
  const client = new Client(config);
  const { connection } = client as unknown as { connection: Wire };
  const steps: Step[] = [];
  let since = performance.now();
  const note = (name: string) => {
    const now = performance.now();
    steps.push([name, now - since]);
    since = now;
  };
  for (const [event, name] of STEPS) connection.once(event, () => note(name));
  // pg goes on with a handshake that has only begun.
  connection.once('sslconnect', () =>
    connection.stream.once('secureConnect', () => note('TLS')),
  );
  await client.connect();
  await client.query('select version()');
  note('version probe, once per pool');
  await client.query(SET_SEARCH_PATH);
  note('search path');
  await client.end();
  return steps;
}

async function login(config: ClientConfig, sql?: string): Promise<number> {
  const begin = performance.now();
  const client = new Client(config);
  await client.connect();
  if (sql) await client.query(sql);
  const tookMs = performance.now() - begin;
  await client.end();
  return tookMs;
}

/** The first connection of a pool and the later ones. */
async function connectsOf(
  contender: Contender,
  target: Target,
  times: number,
): Promise<{ first: number; later: number }> {
  const running = await contender.start(target, { poolMax: 1 });
  try {
    const { knex } = await running.open(PLUGIN);
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
  } finally {
    await running.stop();
  }
}

async function medianOf(times: number, run: () => Promise<number>) {
  const found: number[] = [];
  for (let i = 0; i < times; i++) found.push(await run());
  return median(found);
}

export const linkBenchmark: Benchmark = {
  name: 'link',
  title: `A fresh connection over a link of ${ROUND_TRIP_MS} ms`,
  async run({ laboratory, quick }) {
    const times = quick ? 3 : 20;
    await laboratory.prepare({
      credentialLifeMs: 3_600_000,
      mintLatencyMs: 0,
      pluginIds: [PLUGIN],
    });
    const near = await laboratory.target();
    const link = await startDelayedLink(near, ROUND_TRIP_MS);
    try {
      const target = { ...near, port: link.port };
      const config: ClientConfig = {
        ...connectionOf(target),
        password: target.staticPassword,
      };
      const options = `-c search_path=${PLUGIN}`;
      const direct = { ...config, sslnegotiation: 'direct' } as ClientConfig;
      const floor = await connectsOf(staticKnex, target, times);
      const ours = await connectsOf(lakebaseModule, target, times);
      const totals: [string, number][] = [
        ['static, first of a pool', floor.first],
        ['ours, first of a pool', ours.first],
        ['static, later ones', floor.later],
        ['ours, later ones', ours.later],
        [
          'pg, search path by SET',
          await medianOf(times, () => login(config, SET_SEARCH_PATH)),
        ],
        [
          'pg, search path in the startup packet',
          await medianOf(times, () => login({ ...config, options })),
        ],
        [
          'the same, with sslnegotiation=direct',
          await medianOf(times, () => login({ ...direct, options })),
        ],
      ];
      const trips = (ms: number) => (ms / ROUND_TRIP_MS).toFixed(1);
      return {
        method:
          `A proxy between client and gateway delays each byte; the round trip ` +
          'of TCP is counted in the first. Medians of ' +
          `${times} logins. The last three say what could be saved; nothing ` +
          'of it is in use, for whether Lakebase takes it is not known',
        tables: [
          {
            columns: ['', 'ms', 'round trips'],
            rows: totals.map(([name, ms]) => [name, ms.toFixed(1), trips(ms)]),
          },
          {
            columns: ['step of a login', 'ms', 'round trips'],
            rows: (await loginInSteps(config)).map(([name, ms]) => [
              name,
              ms.toFixed(1),
              trips(ms),
            ]),
          },
        ],
        targets: [
          {
            promise: 'no round trip beyond those of stock Knex',
            found: `${ours.later.toFixed(1)} ms, static ${floor.later.toFixed(1)} ms`,
            met: ours.later - floor.later < ROUND_TRIP_MS / 2,
          },
        ],
      };
    } finally {
      await link.stop();
    }
  },
};
