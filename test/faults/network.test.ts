import { Socket } from 'node:net';
import type { Knex } from 'knex';
import { Client } from 'pg';
import { FakeClock, passTime, settle } from '../../testbed/fakeClock';
import {
  networkTests,
  otherAddress,
  resolveNames,
  useAtOnce,
} from '../support/faultyNetwork';
import {
  killSessions,
  lakebaseTests,
  queryInParallel,
} from '../support/lakebase';
import { MINUTE } from '../../testbed/durations';

// Networks first: their dead connections would keep the others waiting.
const startNetwork = networkTests();
const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

/** What a promise came to, for errors whose type is not at stake. */
const catchFailure = (promise: PromiseLike<unknown>) =>
  Promise.resolve(promise).then(
    () => undefined,
    (error: Error & { code?: string }) => error,
  );

describe('a connection whose packets are lost', () => {
  async function startBehind(connection = {}) {
    const emulator = await start.emulator();
    const network = await startNetwork(emulator.gateway);
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: { port: network.port, ...connection },
    });
    return { network, knex: await lakebase.getClient('catalog') };
  }

  it('holds its own query up until TCP gives up, and no other', async () => {
    const { network, knex } = await startBehind();
    network.swallow();
    const lost = catchFailure(knex.raw('select 1'));

    await queryInParallel(knex, 3);
    network.giveUp();

    // The words are those of pg, and change with its versions.
    expect(await lost).toBeDefined();
    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });

  it('is left for a new one by a query with a timeout of its own', async () => {
    const { network, knex } = await startBehind();
    network.swallow();

    const lost = await catchFailure(knex.raw('select 1').timeout(200));

    expect(lost).toMatchObject({ name: 'KnexTimeoutError' });
    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(network.dialled).toBe(2);
  });

  it('is left for a new one after a query_timeout', async () => {
    const { network, knex } = await startBehind({ query_timeout: 500 });
    network.swallow();

    await expect(knex.raw('select 1')).rejects.toThrow('Query read timeout');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(network.dialled).toBe(2);
  });

  it('does not keep its place among maxConnections', async () => {
    const emulator = await start.emulator();
    const network = await startNetwork(emulator.gateway);
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: { port: network.port },
      lakebase: { maxConnections: 1 },
    });
    await lakebase.getClient('catalog');
    network.swallow();

    const search = await lakebase.getClient('search');

    await expect(search.raw('select 1')).resolves.toBeDefined();
  });

  it('is watched by the kernel from its first silent half minute on', async () => {
    const watched = jest.spyOn(Socket.prototype, 'setKeepAlive');

    await startBehind();

    expect(watched).toHaveBeenCalledWith(true, 30_000);
  });
});

/** Nothing happens in this process meanwhile. */
const block = (ms: number) =>
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** By a query that has to wait for so long, and no longer. */
async function expectAnswerAfter(ms: number, clock: FakeClock, knex: Knex) {
  const asked = jest.spyOn(Client.prototype, 'query');
  const answer = knex.raw('select 1').then();
  while (asked.mock.calls.length === 0) await settle();
  await clock.advance(ms);

  await expect(answer).resolves.toBeDefined();
}

describe('a connection that died while it was idle', () => {
  async function startIdle(connections: number, overrides = {}) {
    const emulator = await start.emulator();
    const network = await startNetwork(emulator.gateway);
    const clock = new FakeClock();
    const settings = { ...schemaMode, connection: { port: network.port } };
    const lakebase = start.lakebase(
      emulator,
      { ...settings, ...overrides },
      { clock },
    );
    const knex = await lakebase.getClient('catalog');
    await useAtOnce(knex, connections);
    clock.block(1_000);
    return { emulator, network, clock, knex };
  }

  it.each(['reset', 'close'] as const)(
    'costs its query nothing where its end was not read yet (%s)',
    async mode => {
      const { emulator, network, knex } = await startIdle(3);

      void emulator.gateway.dropConnections(mode);

      await expect(knex.raw('select 1')).resolves.toBeDefined();
      expect(network.dialled).toBe(4);
    },
  );

  it('costs its query two seconds where its packets are lost', async () => {
    const { network, clock, knex } = await startIdle(1);
    network.swallow();

    await expectAnswerAfter(2_000, clock, knex);
    expect(network.dialled).toBe(2);
  });

  it('takes the others with it, of which each would cost as much', async () => {
    const { network, clock, knex } = await startIdle(5);
    network.swallow();

    await expectAnswerAfter(2_000, clock, knex);
    await useAtOnce(knex, 5);
    expect(network.dialled).toBe(10);
  });

  it('is not taken for one where the process was busy for too long to hear', async () => {
    const { emulator, network } = await startIdle(1);
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: { port: network.port },
    });
    const knex = await lakebase.getClient('search');
    const dialled = network.dialled;
    block(1_100);

    const answer = knex.raw('select 1').then();
    await settle();
    // The answer has come, and so has the end of the wait for it.
    block(2_100);
    await answer;

    expect(network.dialled).toBe(dialled);
  });

  it('costs no more than half of what the pool waits', async () => {
    const { network, clock, knex } = await startIdle(1, {
      knexConfig: { pool: { acquireTimeoutMillis: 3_000 } },
    });
    network.swallow();

    await expectAnswerAfter(1_000, clock, knex);
  });

  it('is looked for at once where another one was just cut off', async () => {
    const { network, clock, knex } = await startIdle(2);
    await useAtOnce(knex, 2);
    await expect(
      knex.raw('select pg_terminate_backend(pg_backend_pid())'),
    ).rejects.toMatchObject({ code: '57P01' });
    network.swallow();
    clock.block(1);

    await expectAnswerAfter(2_000, clock, knex);
  });

  it('is looked for only where a connection was idle for a second', async () => {
    const { clock, knex } = await startIdle(1);
    const asked = jest.spyOn(Client.prototype, 'query');
    const texts = () =>
      asked.mock.calls.map(
        ([query]) => (query as { text?: string }).text ?? query,
      );

    await knex.raw('select 1');
    clock.block(999);
    await knex.raw('select 2');
    await knex.transaction(tx => tx.raw('select 3'));

    expect(texts()).toEqual([
      '',
      'select 1',
      'select 2',
      'BEGIN;',
      'select 3',
      'COMMIT;',
    ]);
  });
});

describe('an endpoint that takes connections and says nothing', () => {
  it('fails all who wait at connectTimeout, with the cause, and leaves open connections alone', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { connectTimeout: '1s' },
    });
    const knex = await lakebase.getClient('catalog');
    const transaction = await knex.transaction();
    await transaction.raw('select 1');
    emulator.gateway.stall(true);

    const failures = await Promise.all(
      Array.from({ length: 9 }, () => catchFailure(knex.raw('select 1'))),
    );

    for (const failure of failures) {
      expect(failure).toMatchObject({
        code: 'connect-timeout',
        message: expect.stringContaining('could not be reached') as string,
      });
    }
    await expect(transaction.raw('select 1')).resolves.toBeDefined();
    emulator.gateway.stall(false);
    await transaction.rollback();
    await queryInParallel(knex, 5);
  });
});

describe('an endpoint that loses a single login', () => {
  it('gets another one while there is time', async () => {
    const emulator = await start.emulator();
    const network = await startNetwork(emulator.gateway);
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      connection: { port: network.port },
      lakebase: { connectTimeout: '3s' },
    });
    emulator.gateway.once('connection', () => network.swallow());

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(network.dialled).toBe(2);
  });
});

describe('the name of the endpoint leads to another address', () => {
  const name = 'ep-flips.database.emulator.test';

  it('new connections go there, and open ones follow as they age', async () => {
    const clock = new FakeClock();
    const emulator = await start.emulator();
    const old = await startNetwork(emulator.gateway);
    const address = await otherAddress();
    const { port } = old;
    const renewed = await startNetwork(emulator.gateway, { address, port });
    emulator.controlPlane.catalog.changeEndpoint(emulator.endpoint, {
      host: name,
    });
    resolveNames({ [name]: '127.0.0.1' });
    const lakebase = start.lakebase(
      emulator,
      { ...schemaMode, connection: { port } },
      { clock },
    );
    const knex = await lakebase.getClient('catalog');

    resolveNames({ [name]: address });
    await useAtOnce(knex, 3);

    expect([old.dialled, renewed.dialled]).toEqual([1, 2]);

    await passTime(emulator, clock, 46 * MINUTE);
    await useAtOnce(knex, 3);

    expect([old.dialled, renewed.dialled]).toEqual([1, 5]);
  });
});

describe('the endpoint is restored elsewhere while Backstage runs', () => {
  it('new connections find its new host by themselves', async () => {
    const emulator = await start.emulator();
    const { catalog } = emulator.controlPlane;
    const [oldHost, newHost] = ['ep-old', 'ep-new'].map(
      host => `${host}.database.emulator.test`,
    );
    catalog.changeEndpoint(emulator.endpoint, { host: oldHost });
    resolveNames({ [oldHost]: '127.0.0.1' });
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');

    await killSessions(emulator, knex);
    catalog.changeEndpoint(emulator.endpoint, { host: newHost });
    resolveNames({ [oldHost]: null, [newHost]: '127.0.0.1' });
    await useAtOnce(knex, 3);

    expect(new Set(emulator.gateway.serverNames)).toEqual(
      new Set([oldHost, newHost]),
    );
  });
});
