import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { Knex } from 'knex';
import type { Emulator } from '../../emulator';
import { ConnectionBudget } from '../../src/connections/connectionBudget';
import { lakebaseTests, queryInParallel } from '../support/lakebase';

const start = lakebaseTests();

const withAtMost = (maxConnections: number, connectTimeout = '20s') => ({
  pluginDivisionMode: 'schema',
  lakebase: { maxConnections, connectTimeout },
});

/** The most connections that were open at once, as the gateway counts them. */
function watchConnections({ gateway }: Emulator) {
  let most = 0;
  gateway.on('connection', () => {
    most = Math.max(most, gateway.openConnections + 1);
  });
  return { most: () => most };
}

const clientsOf = (
  lakebase: ReturnType<typeof start.lakebase>,
  ids: string[],
): Promise<Knex[]> => Promise.all(ids.map(id => lakebase.getClient(id)));

/** Holds one connection in a transaction until told otherwise. */
async function hold(knex: Knex) {
  const transaction = await knex.transaction();
  await transaction.raw('select 1');
  return transaction;
}

describe('maxConnections', () => {
  it('bounds the connections of all plugins together', async () => {
    const emulator = await start.emulator();
    const connections = watchConnections(emulator);
    const lakebase = start.lakebase(emulator, withAtMost(3));
    const ids = ['catalog', 'search', 'auth', 'scaffolder', 'events'];
    const pools = await clientsOf(lakebase, ids);

    const rows = await Promise.all(pools.map(knex => queryInParallel(knex, 6)));

    expect(rows.flat()).toHaveLength(30);
    expect(connections.most()).toBeLessThanOrEqual(3);
  });

  it('closes the connection that has been idle for longest, in favour of another plugin', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, withAtMost(2));
    const [catalog, search] = await clientsOf(lakebase, ['catalog', 'search']);
    await catalog.raw('select 1');
    await search.raw('select 1');

    await lakebase.getClient('auth');

    const names = await emulator.query(
      `select application_name as name from pg_stat_activity
       where usename = $1 order by 1`,
      [emulator.servicePrincipal.clientId],
    );
    expect(names.map(({ name }) => name as string)).toEqual([
      'backstage_plugin_auth',
      'backstage_plugin_search',
    ]);
    await expect(catalog.raw('select 1')).resolves.toBeDefined();
  });

  it('lets those wait who find all connections in use', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, withAtMost(2));
    const [catalog, search] = await clientsOf(lakebase, ['catalog', 'search']);
    const holders = [await hold(catalog), await hold(catalog)];
    const waiting = [search.raw('select 1'), lakebase.getClient('auth')];

    await holders[0].rollback();

    await expect(Promise.all(waiting)).resolves.toHaveLength(2);
    await holders[1].rollback();
  });

  it('serves first who came first', async () => {
    const budget = new ConnectionBudget(1);
    const { signal } = new AbortController();
    const release = await budget.acquire('catalog', signal);
    const order: string[] = [];
    const waiting = ['search', 'auth', 'events'].map(async owner => {
      const releaseLater = await budget.acquire(owner, signal);
      order.push(owner);
      releaseLater();
    });

    release();
    await Promise.all(waiting);

    expect(order).toEqual(['search', 'auth', 'events']);
  });

  it('gives each plugin one before it gives any of them another', async () => {
    const budget = new ConnectionBudget(1);
    const { signal } = new AbortController();
    const release = await budget.acquire('catalog', signal);
    const order: string[] = [];
    const waiting = ['search', 'search', 'auth', 'events'].map(async owner => {
      const releaseLater = await budget.acquire(owner, signal);
      order.push(owner);
      releaseLater();
    });

    release();
    await Promise.all(waiting);

    expect(order).toEqual(['search', 'auth', 'events', 'search']);
  });

  it('moves no connection to queries that others have served meanwhile', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, withAtMost(2));
    const [catalog, search] = await clientsOf(lakebase, ['catalog', 'search']);
    const holder = await hold(search);
    const logins = emulator.gateway.logins.length;

    // All but the first wait for a place, and are served by the first.
    await Promise.all(
      Array.from({ length: 5 }, () => catalog.raw('select pg_sleep(0.01)')),
    );
    await holder.rollback();
    // By then it would have been closed.
    await setImmediate();
    await setImmediate();

    await expect(search.raw('select 1')).resolves.toBeDefined();
    expect(emulator.gateway.logins).toHaveLength(logins);
  });

  it('tells who holds them when a turn does not come', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, withAtMost(3, '1s'));
    const [catalog, search] = await clientsOf(lakebase, ['catalog', 'search']);
    const holders = [
      await hold(catalog),
      await hold(catalog),
      await hold(search),
    ];

    await expect(catalog.raw('select 1')).rejects.toMatchObject({
      code: 'connections-spent',
      message: expect.stringMatching(
        /All 3 .*maxConnections.*catalog 2, search 1/,
      ) as string,
    });

    await Promise.all(holders.map(transaction => transaction.rollback()));
    await expect(catalog.raw('select 1')).resolves.toBeDefined();
  });

  it('counts raw connections, too', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, withAtMost(1, '1s'));
    const events = await lakebase.getClient('events');
    const client = events.client as {
      acquireRawConnection(): Promise<object>;
      destroyRawConnection(connection: object): Promise<void>;
    };
    const listening = await client.acquireRawConnection();

    await expect(events.raw('select 1')).rejects.toMatchObject({
      code: 'connections-spent',
    });

    await client.destroyRawConnection(listening);
    await expect(events.raw('select 1')).resolves.toBeDefined();
  });

  it('does not keep Knex from cancelling a query', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, withAtMost(1));
    const knex = await lakebase.getClient('catalog');

    const query = knex.raw('select pg_sleep(20)').timeout(500, {
      cancel: true,
    });

    await expect(query).rejects.toThrow(/timeout/i);
    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });

  it('gives the place of a connection back that the server has ended', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, withAtMost(1));
    const [catalog, search] = await clientsOf(lakebase, ['catalog', 'search']);
    const ended = once(emulator.gateway, 'close');

    await emulator.gateway.dropConnections();
    await ended;

    await expect(catalog.raw('select 1')).resolves.toBeDefined();
    await expect(search.raw('select 1')).resolves.toBeDefined();
  });

  it('keeps idle connections while no credential could open new ones', async () => {
    const emulator = await start.emulator({ credentialLifeMs: 2_000 });
    const lakebase = start.lakebase(emulator, withAtMost(1, '3s'));
    const catalog = await lakebase.getClient('catalog');
    emulator.controlPlane.answer('credentials', { status: 503 });
    const before = emulator.gateway.logins.length;
    // By its fifth failure the credential has lived its 2 seconds.
    for (let count = 0; count < 5; count++) {
      await emulator.controlPlane.once('credentials');
    }

    await expect(lakebase.getClient('search')).rejects.toThrow();

    await expect(catalog.raw('select 1')).resolves.toBeDefined();
    expect(emulator.gateway.logins).toHaveLength(before);
  });
});

describe('the warning of too many connections', () => {
  const warningsOf = ({ lines }: ReturnType<typeof start.lakebase>) =>
    lines.filter(({ level }) => level === 'warn').map(({ message }) => message);

  /** What the server lets in, but for what it reserves. */
  async function allowedBy(emulator: Emulator): Promise<number> {
    const [{ allowed }] = await emulator.query(
      `select current_setting('max_connections')::int -
              current_setting('superuser_reserved_connections')::int -
              current_setting('reserved_connections')::int as allowed`,
    );
    return allowed as number;
  }

  it('tells what the pools may open, and what the endpoint lets in', async () => {
    const emulator = await start.emulator();
    const allowed = await allowedBy(emulator);
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      knexConfig: { pool: { max: allowed } },
    });
    await clientsOf(lakebase, ['catalog', 'search']);

    await lakebase.announce();

    expect(warningsOf(lakebase)).toContainEqual(
      expect.stringMatching(
        `2 plugins may open ${2 * allowed} connections.*lets in ${allowed}.*maxConnections`,
      ),
    );
  });

  it('is not given when maxConnections keeps them below it', async () => {
    const emulator = await start.emulator();
    const allowed = await allowedBy(emulator);
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      knexConfig: { pool: { max: allowed } },
      lakebase: { maxConnections: allowed },
    });
    await clientsOf(lakebase, ['catalog', 'search']);

    await lakebase.announce();

    expect(warningsOf(lakebase)).toEqual([]);
  });

  it('is given for a maxConnections above it', async () => {
    const emulator = await start.emulator();
    const allowed = await allowedBy(emulator);
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      knexConfig: { pool: { max: 2 * allowed } },
      lakebase: { maxConnections: allowed + 1 },
    });
    await lakebase.getClient('catalog');

    await lakebase.announce();

    expect(warningsOf(lakebase)).toContainEqual(
      expect.stringMatching(`maxConnections lets.* ${allowed + 1} .*Lower it`),
    );
  });
});
