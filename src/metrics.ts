import {
  Attributes,
  Counter,
  Histogram,
  Meter,
  MetricOptions,
  metrics,
  ObservableCallback,
} from '@opentelemetry/api';
import type { Knex } from 'knex';
import { LakebaseError } from './errors';
import { getPgClient, type TarnPool } from './connections/knexInternals';
import type { ConnectListener } from './connections/openConnection';
import type { RefreshListener } from './tokenRefresher';

const METER = 'backstage-backend-module-lakebase';

const POOL = 'db.client.connection.pool.name';
const STATE = 'db.client.connection.state';

/** In seconds: a login takes tens of milliseconds, a timeout a minute. */
const DURATION_BOUNDS = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
];

export interface EndpointMetricsOptions {
  endpoint: string;
  /** Life left of the credential in memory, when there is one. */
  leftMs: () => number | undefined;
}

/**
 * What OpenTelemetry hears of one endpoint. Without an SDK in the process all
 * of it does nothing.
 *
 * Attributes are names from the configuration and codes from this package, never
 * texts: they are few and hold no secret.
 */
export class EndpointMetrics {
  readonly #endpoint: Attributes;
  readonly #pools = new Map<string, TarnPool>();
  readonly #mints: Counter;
  readonly #mintDuration: Histogram;
  readonly #refusedLogins: Counter;
  readonly #createTime: Histogram;
  readonly #unobserve: (() => void)[];

  constructor({ endpoint, leftMs }: EndpointMetricsOptions) {
    // Asked for here and not on import: an SDK that comes later is not seen.
    const meter = metrics.getMeter(METER);
    this.#endpoint = { 'lakebase.endpoint': endpoint };
    this.#mints = meter.createCounter('lakebase.credential.mints.count', {
      description: 'Attempts to mint a database credential',
      unit: '{mint}',
    });
    this.#mintDuration = duration(
      meter,
      'lakebase.credential.mints.duration',
      'How long attempts to mint a database credential took',
    );
    this.#refusedLogins = meter.createCounter(
      'lakebase.credential.refused_logins.count',
      {
        description: 'Logins that the endpoint refused',
        unit: '{login}',
      },
    );
    this.#createTime = duration(
      meter,
      'db.client.connection.create_time',
      'How long new connections took, with all their waiting and retrying',
    );
    this.#unobserve = this.#observeAll(meter, leftMs);
  }

  #observeAll(meter: Meter, leftMs: EndpointMetricsOptions['leftMs']) {
    return [
      observe(
        meter,
        'Gauge',
        'lakebase.credential.time_to_expiry',
        {
          description: 'Life left of the database credential in memory',
          unit: 's',
        },
        result => {
          const left = leftMs();
          if (left !== undefined) result.observe(left / 1000, this.#endpoint);
        },
      ),
      observe(
        meter,
        'UpDownCounter',
        'db.client.connection.count',
        { description: 'Open connections', unit: '{connection}' },
        result =>
          this.#pools.forEach((pool, name) => {
            result.observe(pool.numFree(), { [POOL]: name, [STATE]: 'idle' });
            result.observe(pool.numUsed(), { [POOL]: name, [STATE]: 'used' });
          }),
      ),
      observe(
        meter,
        'UpDownCounter',
        'db.client.connection.pending_requests',
        {
          description: 'Requests that wait for a connection of the pool',
          unit: '{request}',
        },
        result =>
          this.#pools.forEach((pool, name) =>
            result.observe(pool.numPendingAcquires(), { [POOL]: name }),
          ),
      ),
    ];
  }

  /** Counts each attempt to mint. */
  readonly mints: RefreshListener = {
    onMinted: ({ durationMs }) => this.#countMint(durationMs),
    onFailed: ({ durationMs, error }) => this.#countMint(durationMs, error),
  };

  #countMint(durationMs: number, error?: Error): void {
    const attributes = { ...this.#endpoint, ...describeOutcome(error) };
    this.#mints.add(1, attributes);
    this.#mintDuration.record(durationMs / 1000, attributes);
  }

  /** Counts what happens when connections of this pool are opened. */
  listen(pool: string): ConnectListener {
    return {
      onConnect: ({ durationMs, error }) =>
        this.#createTime.record(durationMs / 1000, {
          [POOL]: pool,
          ...describeOutcome(error),
        }),
      onRefusedLogin: fault =>
        this.#refusedLogins.add(1, { [POOL]: pool, 'error.type': fault.code }),
    };
  }

  /** Reads how full the pool of a plugin is, at each collection. */
  watchPool(pool: string, knex: Knex): void {
    this.#pools.set(pool, getPgClient(knex).pool);
  }

  /** After which the SDK holds on to no pool. */
  stop(): void {
    for (const unobserve of this.#unobserve) unobserve();
  }
}

/** The part of a ConnectionBudget that is read here. */
interface BudgetCounts {
  inUse: number;
  waiting: number;
}

/** Tells OpenTelemetry of the budget, until the function returned is called. */
export function observeBudget(budget: BudgetCounts): () => void {
  const meter = metrics.getMeter(METER);
  const unit = '{connection}';
  const unobserve = [
    observe(
      meter,
      'UpDownCounter',
      'lakebase.budget.used',
      {
        description: 'Connections that have a place within maxConnections',
        unit,
      },
      result => result.observe(budget.inUse),
    ),
    observe(
      meter,
      'UpDownCounter',
      'lakebase.budget.waiting',
      {
        description: 'Connections that wait for a place within maxConnections',
        unit,
      },
      result => result.observe(budget.waiting),
    ),
  ];
  return () => unobserve.forEach(stop => stop());
}

const duration = (meter: Meter, name: string, description: string) =>
  meter.createHistogram(name, {
    description,
    unit: 's',
    // The usual ones are meant for milliseconds.
    advice: { explicitBucketBoundaries: DURATION_BOUNDS },
  });

/** Calls `read` at each collection, until the function returned is called. */
function observe(
  meter: Meter,
  kind: 'Gauge' | 'UpDownCounter',
  name: string,
  options: MetricOptions,
  read: ObservableCallback,
): () => void {
  const instrument = meter[`createObservable${kind}`](name, options);
  instrument.addCallback(read);
  return () => instrument.removeCallback(read);
}

const describeOutcome = (error: unknown): Attributes =>
  error === undefined
    ? { outcome: 'success' }
    : {
        outcome: 'failure',
        'error.type': error instanceof LakebaseError ? error.code : '_OTHER',
      };
