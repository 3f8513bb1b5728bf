import { setMaxListeners } from 'node:events';
import type { Comparison } from '../backstage/comparison';
import type { BackstageResults } from '../backstage';
import type { Benchmark, Table } from './benchmark';

/** Enough to see that it works. */
const QUICK = { entities: 200, startRounds: 1, loadRounds: 1 };

const timings = (results: BackstageResults): [string, Comparison][] => [
  ['start, empty database', results.start.empty],
  ['start, existing database', results.start.existing],
  ['start far away, empty database', results.startFarAway.empty],
  ['start far away, existing database', results.startFarAway.existing],
  [`${results.entities} entities stitched`, results.stitched],
  ['all of them indexed', results.indexed],
  ...Object.entries(results.requests).flatMap(
    ([name, { p50, p95 }]): [string, Comparison][] => [
      [`${name}, p50`, p50],
      [`${name}, p95`, p95],
    ],
  ),
];

function tripsTable({ trips }: BackstageResults): Table {
  const rows = Object.entries(trips).flatMap(([state, each]) =>
    Object.entries(each).map(([name, { logins, statements }]) => [
      `${state} database`,
      name,
      logins,
      statements,
    ]),
  );
  return { columns: ['start to ready', '', 'logins', 'statements'], rows };
}

export const backstageBenchmark: Benchmark = {
  name: 'backstage',
  title: 'A real Backstage',
  onRequest: true,
  async run({ quick }) {
    // It brings all of Backstage along, which the others need not wait for.
    const { runBackstage } = await import('../backstage');
    const { signal } = new AbortController();
    setMaxListeners(0, signal);
    const results = await runBackstage({ ...(quick && QUICK), signal });
    return {
      method:
        `A backend with ${results.plugins} plugins, on this package and on ` +
        "Backstage's own connector with a password that never changes. Far " +
        'away: each round trip takes 20 ms longer',
      tables: [
        tripsTable(results),
        {
          columns: ['', 'ours, ms', 'stock, ms', 'ratio', 'A/A'],
          rows: timings(results).map(([name, found]) => [
            name,
            found.ours.toFixed(0),
            found.stock.toFixed(0),
            found.ratio.toFixed(2),
            found.ratioOfEquals.toFixed(2),
          ]),
        },
      ],
      targets: results.targets,
    };
  },
};
