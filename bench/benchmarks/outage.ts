import { setTimeout as delay } from 'node:timers/promises';
import { last } from 'lodash';
import type { Contender } from '../../testbed/contenders';
import {
  entriesOf,
  interleave,
  AGAIN,
  type Entry,
} from '../measure/interleave';
import type { Observed } from '../measure/laboratory';
import { failuresOf, steadyLoad, type Query } from '../measure/load';
import { fillPools, pluginIdsOf, withPlugins, type Run } from '../measure/run';
import { highest, percentiles } from '../measure/statistics';
import type { Benchmark, Context, Line } from './benchmark';

const PLUGINS = 5;
const CONNECTIONS = 5;
const THINK_MS = 20;
const LIFE_MS = 6_000;
const CONNECT_TIMEOUT_MS = 15_000;
const CHURN_AGE_MS = 1_000;

/** Half-open for so many samples in a row: not a login that is under way. */
const SAMPLES_OF_A_SECOND = 20;

interface Scenario {
  name: string;
  promise: string;
  churn: boolean;
  /** Shares of the credential's life, from its mint. */
  begins(contender: Contender): number;
  lasts: number;
  /** Once the credential has run out, all connections are lost. */
  losesConnections?: boolean;
}

const SCENARIOS: Scenario[] = [
  {
    name: 'right after a mint, for 80 % of the life, with churn',
    promise: 'no failed query in an outage of 80 % of the life after a mint',
    churn: true,
    begins: () => 0,
    lasts: 0.8,
  },
  {
    name: 'just before a renewal, for 45 % of the life, with churn',
    promise: 'no failed query in an outage of 45 % at the worst moment',
    churn: true,
    begins: ({ renewsAfter = 0.5 }) => renewsAfter - 0.02,
    lasts: 0.45,
  },
  {
    name: 'longer than the credential lives, without churn',
    promise: 'no failed query when the outage outlasts the credential',
    churn: false,
    begins: () => 0,
    lasts: 1.7,
  },
  {
    name: 'longer than the credential lives, all connections lost in it',
    promise: 'new connections wait for the end of the outage, and then succeed',
    churn: false,
    begins: () => 0,
    lasts: 1.7,
    losesConnections: true,
  },
];

interface Outage {
  queries: Query[];
  observed: Observed;
  startedAt: number;
  outage: { from: number; to: number };
}

async function runScenario(
  { laboratory }: Context,
  { contender }: Entry,
  scenario: Scenario,
): Promise<Outage> {
  const pluginIds = pluginIdsOf(PLUGINS);
  return withPlugins(
    {
      laboratory,
      contender,
      pluginIds,
      lifeMs: LIFE_MS,
      settings: {
        poolMax: CONNECTIONS,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        maxConnectionAgeMs: scenario.churn ? CHURN_AGE_MS : undefined,
      },
    },
    async run => {
      await fillPools(run.databases, CONNECTIONS, 200);
      // The first mint came with the first connection.
      const due = run.startedAt + scenario.begins(contender) * LIFE_MS;
      const from = Math.max(due, Date.now());
      const outage = { from, to: from + scenario.lasts * LIFE_MS };
      const disturb = async () => {
        await until(outage.from);
        await laboratory.outage(true);
        await until(outage.to);
        await laboratory.outage(false);
      };
      const [queries] = await Promise.all([
        loadThrough(run, scenario, outage.to),
        disturb(),
      ]);
      const observed = await laboratory.observed();
      return { queries, observed, startedAt: run.startedAt, outage };
    },
  );

  /** The load of one scenario; where connections are lost, in a pause of it. */
  async function loadThrough(
    { databases, startedAt }: Run,
    { losesConnections }: Scenario,
    end: number,
  ): Promise<Query[]> {
    const load = (durationMs: number) =>
      steadyLoad({
        databases,
        durationMs,
        clientsPerPlugin: CONNECTIONS,
        thinkMs: THINK_MS,
      });
    const stop = end + LIFE_MS / 3;
    if (!losesConnections) return load(stop - Date.now());

    const loss = startedAt + 1.1 * LIFE_MS;
    const before = await load(loss - Date.now());
    await laboratory.dropConnections();
    return [...before, ...(await load(stop - Date.now()))];
  }
}

const until = (moment: number) => delay(Math.max(0, moment - Date.now()));

/** The most sockets that had not logged in for a second. */
function halfOpen({ samples }: Observed): number {
  const counts = samples.map(sample => sample.halfOpen);
  const sustained = counts.map((_, index) =>
    index + SAMPLES_OF_A_SECOND > counts.length
      ? 0
      : Math.min(...counts.slice(index, index + SAMPLES_OF_A_SECOND)),
  );
  return highest([0, ...sustained]);
}

const mintsOver = (name: string, { observed, startedAt }: Outage): Line => ({
  name,
  stepped: true,
  points: observed.samples.map(({ at, mints, failedMints }) => [
    (at - startedAt) / 1000,
    mints + failedMints,
  ]),
});

export const outageBenchmark: Benchmark = {
  name: 'outage',
  title: 'Outages of the control plane',
  async run(context) {
    const scenarios = context.quick ? SCENARIOS.slice(-1) : SCENARIOS;
    const entries = entriesOf(({ name }) => name !== 'backstage').filter(
      ({ name }) => name !== AGAIN,
    );
    const rows: (string | number)[][] = [];
    const targets: { promise: string; found: string; met: boolean }[] = [];
    let plotted: Map<string, Outage[]> | undefined;
    let mostHalfOpen = 0;
    for (const scenario of scenarios) {
      const results = await interleave(entries, 1, entry =>
        runScenario(context, entry, scenario),
      );
      for (const { name } of entries) {
        const [{ queries, observed }] = results.get(name)!;
        rows.push([
          scenario.name,
          name,
          queries.length,
          failuresOf(queries).length,
          percentiles(queries.map(({ latencyMs }) => latencyMs)).max.toFixed(0),
          observed.mints,
          observed.failedMints,
          observed.logins,
          halfOpen(observed),
        ]);
      }
      const [ours] = results.get('ours')!;
      mostHalfOpen = Math.max(mostHalfOpen, halfOpen(ours.observed));
      const failures = failuresOf(ours.queries);
      targets.push({
        promise: scenario.promise,
        found: `${failures.length}${failures.length ? `: ${last(failures)!.error}` : ''}`,
        met: failures.length === 0,
      });
      // The last one is the hardest.
      plotted = results;
    }
    targets.push({
      promise: 'no half-open backend',
      found: `${mostHalfOpen}`,
      met: mostHalfOpen === 0,
    });
    const { startedAt, outage } = plotted!.get('ours')![0];
    return {
      method:
        `${PLUGINS} plugins with ${CONNECTIONS} connections each, ` +
        `credentials of ${LIFE_MS / 1000} s. In the outage the workspace ` +
        'answers 503. Churn: each connection is replaced after ' +
        `${CHURN_AGE_MS / 1000} s. A connection may take ` +
        `${CONNECT_TIMEOUT_MS / 1000} s. Half-open: the most sockets that were ` +
        'connected for a second without a login. Every contender meets the ' +
        'worst moment of its own',
      tables: [
        {
          columns: [
            'outage',
            '',
            'queries',
            'failed',
            'max, ms',
            'mints',
            'failed mints',
            'logins',
            'half-open',
          ],
          rows,
        },
      ],
      targets,
      plots: [
        {
          name: 'mints-in-an-outage',
          title: 'Mints that were asked for, in an outage without connections',
          x: 'seconds',
          y: 'calls',
          logarithmic: true,
          lines: entries
            .filter(({ contender }) => contender.mints)
            .map(({ name }) => mintsOver(name, plotted!.get(name)![0])),
          spans: [
            {
              name: 'outage',
              from: (outage.from - startedAt) / 1000,
              to: (outage.to - startedAt) / 1000,
            },
          ],
        },
      ],
    };
  },
};
