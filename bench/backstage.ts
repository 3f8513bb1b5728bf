import { startPostgresProcess } from '../emulator';
import { thenStop } from '../testbed/waiting';
import { writeCatalogFiles } from './backstage/catalogFiles';
import {
  compareBy,
  type Comparison,
  type Contender,
  interleave,
} from './backstage/comparison';
import { median } from './measure/statistics';
import { fillAndAsk, type Load, type RequestName } from './backstage/load';
import {
  type Bench,
  type Start,
  type Starts,
  startTwice,
  type Trips,
} from './backstage/starts';

export interface BackstageOptions {
  /** In the catalog that is filled and asked. */
  entities?: number;
  /** Starts of each contender. */
  startRounds?: number;
  /** Fillings by each contender. */
  loadRounds?: number;
  signal: AbortSignal;
}

/** Whether the database is new, or was left by an earlier start. */
export type State = keyof Starts;

export interface Target {
  promise: string;
  found: string;
  met: boolean;
}

/** Times in milliseconds. */
export interface BackstageResults {
  plugins: number;
  entities: number;
  /** Until ready. */
  trips: Record<State, Record<'ours' | 'stock', Trips>>;
  start: Record<State, Comparison>;
  /** The same where each round trip takes 20 ms longer. */
  startFarAway: Record<State, Comparison>;
  stitched: Comparison;
  indexed: Comparison;
  requests: Record<RequestName, { p50: Comparison; p95: Comparison }>;
  targets: Target[];
}

const FAR_AWAY_MS = 20;

/** Each takes as long as several near ones, and differs by far more. */
const FAR_AWAY_ROUNDS = 1;

/** A real Backstage, on this package and on Backstage's own connector. */
export async function runBackstage({
  entities = 10_000,
  startRounds = 2,
  loadRounds = 1,
  signal,
}: BackstageOptions): Promise<BackstageResults> {
  const postgres = await startPostgresProcess();
  const bench = { postgres, signal };
  const measured = async () => {
    const near = await interleave('start', startRounds, contender =>
      startTwice(contender, bench),
    );
    const far = await interleave('start far away', FAR_AWAY_ROUNDS, contender =>
      startTwice(contender, bench, FAR_AWAY_MS),
    );
    const loads = await fillAll(entities, loadRounds, bench);
    return resultsOf(entities, near, far, loads);
  };
  return thenStop(measured, () => postgres.stop());
}

type Runs<T> = Record<Contender, T[]>;

async function fillAll(
  entities: number,
  rounds: number,
  bench: Bench,
): Promise<Runs<Load>> {
  const files = await writeCatalogFiles(entities);
  const fill = async () => {
    // The first one finds a server that has to make all of its files.
    await fillAndAsk('stock', files, bench);
    return interleave('load', rounds, contender =>
      fillAndAsk(contender, files, bench),
    );
  };
  return thenStop(fill, () => files.remove());
}

function resultsOf(
  entities: number,
  near: Runs<Starts>,
  far: Runs<Starts>,
  loads: Runs<Load>,
): BackstageResults {
  const trips = eachState(state => ({
    ours: medianTrips(near.ours.map(starts => starts[state])),
    stock: medianTrips(near.stock.map(starts => starts[state])),
  }));
  const measurements = {
    plugins: Object.keys(near.ours[0].existing.plugins).length,
    entities,
    trips,
    start: eachState(state => compareBy(near, starts => starts[state].ms)),
    startFarAway: eachState(state =>
      compareBy(far, starts => starts[state].ms),
    ),
    stitched: compareBy(loads, ({ stitchedMs }) => stitchedMs),
    indexed: compareBy(loads, ({ indexedMs }) => indexedMs),
    requests: {
      'catalog by filter': compareRequest(loads, 'catalog by filter'),
      'catalog by text': compareRequest(loads, 'catalog by text'),
      search: compareRequest(loads, 'search'),
    },
  };
  return { ...measurements, targets: targetsOf(measurements) };
}

const eachState = <T>(of: (state: State) => T): Record<State, T> => ({
  empty: of('empty'),
  existing: of('existing'),
});

/** Of the run in the middle: background tasks add a few, now and then. */
function medianTrips(starts: Start[]): Trips {
  const statements = median(starts.map(start => start.statements));
  const typical = starts.find(start => start.statements >= statements)!;
  const { logins, plugins } = typical;
  return { logins, statements: typical.statements, plugins };
}

const compareRequest = (loads: Runs<Load>, name: RequestName) => ({
  p50: compareBy(loads, ({ requests }) => requests[name].p50),
  p95: compareBy(loads, ({ requests }) => requests[name].p95),
});

const inShort = ({ ours, stock, ratio, ratioOfEquals }: Comparison) =>
  `${ours.toFixed(0)} ms against ${stock.toFixed(0)} ms, ` +
  `${ratio.toFixed(2)} (A/A ${ratioOfEquals.toFixed(2)})`;

type Measurements = Omit<BackstageResults, 'targets'>;

function targetsOf(measurements: Measurements): Target[] {
  const { trips, start, stitched, indexed, requests } = measurements;
  const total = ({ logins, statements }: Trips) => logins + statements;
  const states = eachState(state => state);
  const fewer = Object.values(states).map(state => ({
    promise: `round trips until ready, ${state} database: fewer than stock`,
    found: `${total(trips[state].ours)} against ${total(trips[state].stock)}`,
    met: total(trips[state].ours) < total(trips[state].stock),
  }));
  const faster = Object.values(states).map(state => ({
    promise: `start to ready, ${state} database: faster than stock`,
    found: inShort(start[state]),
    met: start[state].ratio < 1,
  }));
  const timings: [string, Comparison][] = [
    ['all entities stitched', stitched],
    ['all entities indexed', indexed],
    ...Object.entries(requests).flatMap(
      ([name, { p50, p95 }]): [string, Comparison][] => [
        [`${name}, p50`, p50],
        [`${name}, p95`, p95],
      ],
    ),
  ];
  const alike = timings.map(([name, comparison]) => ({
    promise: `${name}: not above the runs of stock`,
    found: inShort(comparison),
    met: comparison.withinSpread,
  }));
  return [...fewer, ...faster, ...alike];
}
