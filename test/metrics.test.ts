import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { metrics } from '@opentelemetry/api';
import {
  DataPoint,
  Histogram,
  MeterProvider,
  MetricData,
  MetricReader,
} from '@opentelemetry/sdk-metrics';
import { Client } from 'pg';
import { databaseConfig, type Emulator } from '../emulator';
import { explainRefreshFault } from '../src/databricks/credentialFaults';
import { TokenRefresher } from '../src/tokenRefresher';
import { temporaryFiles } from './support/appConfig';
import { FakeClock, settle } from '../testbed/fakeClock';
import {
  killSessions,
  lakebaseTests,
  queryInParallel,
  startLakebase,
} from './support/lakebase';
import { HOUR, MINUTE } from '../testbed/durations';
import { createRefresher, FakeMint } from './support/refresher';

const start = lakebaseTests();
const files = temporaryFiles();
const schemaMode = { pluginDivisionMode: 'schema' };

const MINTS = 'lakebase.credential.mints.count';
const MINT_DURATION = 'lakebase.credential.mints.duration';
const TIME_TO_EXPIRY = 'lakebase.credential.time_to_expiry';
const REFUSED_LOGINS = 'lakebase.credential.refused_logins.count';
const CREATE_TIME = 'db.client.connection.create_time';
const CONNECTIONS = 'db.client.connection.count';
const PENDING = 'db.client.connection.pending_requests';
const BUDGET_USED = 'lakebase.budget.used';
const BUDGET_WAITING = 'lakebase.budget.waiting';
const POOL = 'db.client.connection.pool.name';
const STATE = 'db.client.connection.state';

/** Collects when it is told to. */
class Reader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

let reader: Reader;

beforeEach(() => {
  reader = new Reader();
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
});

afterEach(async () => {
  metrics.disable();
  await reader.shutdown();
});

async function collect(): Promise<MetricData[]> {
  const { resourceMetrics, errors } = await reader.collect();
  expect(errors).toEqual([]);
  return resourceMetrics.scopeMetrics.flatMap(scope => scope.metrics);
}

async function pointsOf(name: string): Promise<DataPoint<unknown>[]> {
  const data = (await collect()).find(
    ({ descriptor }) => descriptor.name === name,
  );
  return data?.dataPoints ?? [];
}

/** Values with their attributes; of a histogram, how many it has. */
async function read(name: string) {
  return (await pointsOf(name)).map(({ attributes, value }) => ({
    ...attributes,
    value: typeof value === 'number' ? value : (value as Histogram).count,
  }));
}

const busyAt = (emulator: Emulator, value: number) => ({
  'lakebase.endpoint': emulator.endpoint,
  outcome: 'failure',
  'error.type': 'workspace-busy',
  value,
});

const minted = (emulator: Emulator, value: number) => ({
  'lakebase.endpoint': emulator.endpoint,
  outcome: 'success',
  value,
});

it('the metrics of a backend are those that the docs list', async () => {
  const page = await readFile(
    path.join(__dirname, '..', 'docs', 'metrics.md'),
    'utf8',
  );
  const listed = [...page.matchAll(/^\| `([a-z_.]+)`/gm)].map(row => row[1]);
  const emulator = await start.emulator();
  emulator.gateway.refuseNext('wrongIdentity');
  const lakebase = start.lakebase(emulator, {
    ...schemaMode,
    lakebase: { maxConnections: 5 },
  });
  await lakebase.getClient('catalog');

  const told = (await collect()).map(({ descriptor }) => descriptor.name);

  expect(told.sort()).toEqual(listed.sort());
});

describe('mints', () => {
  it('are counted and timed by their outcome', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', { status: 503 }, { times: 2 });
    const lakebase = start.lakebase(emulator, schemaMode);

    await lakebase.getClient('catalog');

    const outcomes = [busyAt(emulator, 2), minted(emulator, 1)];
    expect(await read(MINTS)).toEqual(outcomes);
    expect(await read(MINT_DURATION)).toEqual(outcomes);
  });

  it('are timed in seconds', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', { latencyMs: 300 });
    const lakebase = start.lakebase(emulator, schemaMode);

    await lakebase.getClient('catalog');

    const [{ value }] = (await pointsOf(
      MINT_DURATION,
    )) as DataPoint<Histogram>[];
    expect(value.sum).toBeGreaterThan(0.29);
    expect(value.sum).toBeLessThan(30);
    expect(value.buckets.boundaries).toContain(0.1);
  });

  it('count as failures when what they give cannot be used', async () => {
    const clock = new FakeClock();
    const mint = new FakeMint(clock, -MINUTE);
    const onFailed = jest.fn();
    const refresher = new TokenRefresher({
      mint: mint.attempt,
      explain: explainRefreshFault,
      listeners: [{ onFailed }],
      clock,
    });

    await refresher.token().catch(() => {});

    expect(onFailed.mock.calls).toMatchObject([
      [{ durationMs: 0, error: { code: 'workspace-reply-invalid' } }],
    ]);
  });
});

describe('the time to expiry', () => {
  it('is that of the credential in memory', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    expect(await read(TIME_TO_EXPIRY)).toEqual([]);

    await lakebase.getClient('catalog');

    const [{ value, ...attributes }] = await read(TIME_TO_EXPIRY);
    expect(attributes).toEqual({ 'lakebase.endpoint': emulator.endpoint });
    expect(value).toBeGreaterThan(3_500);
    expect(value).toBeLessThan(3_700);
  });

  it('goes down to 0, and is 0 once the credential was refused', async () => {
    const { clock, refresher } = createRefresher();
    const left: unknown[] = [refresher.leftMs];

    await refresher.token();
    left.push(refresher.leftMs);
    clock.block(20 * MINUTE);
    left.push(refresher.leftMs);
    clock.block(HOUR);
    left.push(refresher.leftMs);
    refresher.discard(await refresher.token());
    left.push(refresher.leftMs);

    expect(left).toEqual([undefined, HOUR, 40 * MINUTE, 0, 0]);
  });
});

describe('refused logins', () => {
  it('are counted by pool and reason', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');
    expect(await read(REFUSED_LOGINS)).toEqual([]);

    emulator.gateway.revokeTokens();
    await killSessions(emulator, knex);
    await knex.raw('select 1');
    emulator.gateway.refuseNext('externalAuthorization', { times: 2 });
    await killSessions(emulator, knex);
    await knex.raw('select 1');

    expect(await read(REFUSED_LOGINS)).toEqual([
      { [POOL]: 'catalog', 'error.type': 'token-refused', value: 1 },
      {
        [POOL]: 'catalog',
        'error.type': 'external-authorization-failed',
        value: 2,
      },
    ]);
  });

  it('do not include an endpoint that is waking up', async () => {
    const emulator = await start.emulator();
    emulator.gateway.refuseNext('startingUp', { times: 2 });
    const lakebase = start.lakebase(emulator, schemaMode);

    await lakebase.getClient('catalog');

    expect(await read(REFUSED_LOGINS)).toEqual([]);
  });
});

describe('connects', () => {
  it('are timed by pool and outcome, each once however often it is retried', async () => {
    const emulator = await start.emulator();
    emulator.gateway.refuseNext('startingUp', { times: 2 });
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');
    await lakebase.getClient('auth');

    emulator.gateway.refuseNext('missingRole');
    await killSessions(emulator, knex);
    await expect(knex.raw('select 1')).rejects.toThrow('no Postgres role');

    expect(await read(CREATE_TIME)).toEqual([
      { [POOL]: 'catalog', outcome: 'success', value: 1 },
      { [POOL]: 'auth', outcome: 'success', value: 1 },
      {
        [POOL]: 'catalog',
        outcome: 'failure',
        'error.type': 'role-missing',
        value: 1,
      },
    ]);
  });

  it('of the local proxy are among them', async () => {
    const directory = path.join(files.folder(), 'socket');
    const emulator = await start.emulator();
    const { host, port } = emulator.gateway;
    const database = 'databricks_postgres';
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: { host: directory, port: 5432, database, ssl: null },
      lakebase: {
        localProxy: true,
        connection: { host, port, ssl: { ca: emulator.ca.cert } },
      },
    });
    await lakebase.prepareForBypassing();
    const guest = new Client({
      host: directory,
      port: 5432,
      user: 'anybody',
      database,
    });

    await guest.connect();
    await guest.end();

    expect(await read(CREATE_TIME)).toEqual([
      { [POOL]: 'local proxy', outcome: 'success', value: 1 },
    ]);
  });

  it('are timed in seconds', async () => {
    const emulator = await start.emulator();
    emulator.gateway.loginLatencyMs = 300;
    const lakebase = start.lakebase(emulator, schemaMode);

    await lakebase.getClient('catalog');

    const [{ value }] = (await pointsOf(CREATE_TIME)) as DataPoint<Histogram>[];
    expect(value.sum).toBeGreaterThan(0.29);
    expect(value.sum).toBeLessThan(30);
  });
});

describe('a pool', () => {
  it('tells which of its connections are idle and which are used', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');
    await lakebase.getClient('auth');
    // Each holds a connection of its own, however slowly these are opened.
    const held = await Promise.all([1, 2, 3].map(() => knex.transaction()));
    await Promise.all(held.map(transaction => transaction.commit()));

    const during = await knex.transaction(() => read(CONNECTIONS));
    await settle();

    const counts = (pool: string, idle: number, used: number) => [
      { [POOL]: pool, [STATE]: 'idle', value: idle },
      { [POOL]: pool, [STATE]: 'used', value: used },
    ];
    expect(during).toEqual([
      ...counts('catalog', 2, 1),
      ...counts('auth', 1, 0),
    ]);
    expect(await read(CONNECTIONS)).toEqual([
      ...counts('catalog', 3, 0),
      ...counts('auth', 1, 0),
    ]);
  });

  it('tells how many wait for a connection', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      knexConfig: { pool: { max: 1 } },
    });
    const knex = await lakebase.getClient('catalog');
    const transaction = await knex.transaction();

    const queries = queryInParallel(knex, 2);
    await settle();
    const during = await read(PENDING);
    await transaction.commit();
    await queries;

    expect(during).toEqual([{ [POOL]: 'catalog', value: 2 }]);
    expect(await read(PENDING)).toEqual([{ [POOL]: 'catalog', value: 0 }]);
  });

  it('is no longer read after shutdown', async () => {
    const emulator = await start.emulator();
    const lakebase = startLakebase(emulator, schemaMode);
    await lakebase.getClient('catalog');

    await lakebase.stop();

    for (const name of [CONNECTIONS, PENDING, TIME_TO_EXPIRY]) {
      expect(await read(name)).toEqual([]);
    }
  });
});

it('two endpoints of a backend are told apart', async () => {
  const emulator = await start.emulator();
  const project = emulator.endpoint.split('/', 2).join('/');
  const lakebase = start.lakebase(emulator, {
    ...schemaMode,
    plugin: {
      auth: {
        connection: databaseConfig(emulator).connection,
        lakebase: { endpoint: project },
      },
    },
  });

  await lakebase.getClient('catalog');
  await lakebase.getClient('auth');

  const endpoints = (await pointsOf(TIME_TO_EXPIRY)).map(
    ({ attributes }) => attributes['lakebase.endpoint'],
  );
  expect(endpoints).toEqual([emulator.endpoint, project]);
  expect(await read(PENDING)).toEqual([
    { [POOL]: 'catalog', value: 0 },
    { [POOL]: 'auth', value: 0 },
  ]);
});

describe('the budget of connections', () => {
  it('tells how many have a place, and how many wait for one', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { maxConnections: 2 },
    });
    const knex = await lakebase.getClient('catalog');

    let queries: Promise<unknown> | undefined;
    const during = await knex.transaction(async first => {
      await first.raw('select 1');
      return knex.transaction(async second => {
        await second.raw('select 1');
        queries = queryInParallel(knex, 3);
        await settle();
        return [await read(BUDGET_USED), await read(BUDGET_WAITING)];
      });
    });
    await queries;

    expect(during).toEqual([[{ value: 2 }], [{ value: 3 }]]);
  });

  it('is not told of without maxConnections', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);

    await lakebase.getClient('catalog');

    expect(await read(BUDGET_USED)).toEqual([]);
    expect(await read(BUDGET_WAITING)).toEqual([]);
  });

  it('is no longer read after shutdown', async () => {
    const emulator = await start.emulator();
    const lakebase = startLakebase(emulator, {
      ...schemaMode,
      lakebase: { maxConnections: 2 },
    });
    await lakebase.getClient('catalog');

    await lakebase.stop();

    expect(await read(BUDGET_USED)).toEqual([]);
    expect(await read(BUDGET_WAITING)).toEqual([]);
  });
});

describe('no token, secret or text of an error', () => {
  it('is in a metric, through refusals and outages', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { connectTimeout: { seconds: 1 } },
    });
    const knex = await lakebase.getClient('catalog');
    emulator.gateway.refuseNext('wrongIdentity', { times: 2 });
    await killSessions(emulator, knex);
    await expect(knex.raw('select 1')).rejects.toThrow();
    emulator.controlPlane.answer('credentials', {
      status: 403,
      body: { error_code: 'PERMISSION_DENIED', message: 'eyJhbGciOiJub25lIn0' },
    });
    emulator.gateway.revokeTokens();
    await expect(knex.raw('select 1')).rejects.toThrow();

    const collected = await collect();

    expect(collected.map(({ descriptor }) => descriptor.name).sort()).toEqual(
      [
        ...[MINTS, MINT_DURATION, TIME_TO_EXPIRY, REFUSED_LOGINS],
        ...[CREATE_TIME, CONNECTIONS, PENDING],
      ].sort(),
    );
    expect(JSON.stringify(collected)).not.toMatch(/eyJ/);
    expect(JSON.stringify(collected)).not.toContain(
      emulator.servicePrincipal.clientSecret,
    );
    for (const { attributes } of collected.flatMap(
      ({ dataPoints }): DataPoint<unknown>[] => dataPoints,
    )) {
      for (const value of Object.values(attributes)) {
        expect(value).toMatch(/^[\w/ -]{1,80}$/);
      }
    }
  });
});
