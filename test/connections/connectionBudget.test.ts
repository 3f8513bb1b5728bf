import {
  type BudgetMember,
  ConnectionBudget,
  type IdleConnection,
  type Release,
} from '../../src/connections/connectionBudget';

const forEver = new AbortController().signal;

/** Lets what has been promised be told to whoever awaits it. */
const settle = () => new Promise(resolve => setImmediate(resolve));

/** A pool whose idle connections close at once, or when told to. */
class Pool implements BudgetMember {
  readonly idling: IdleConnection[] = [];
  readonly closed: number[] = [];
  unneeded = 0;

  constructor(readonly owner: string) {}

  surplus(): number {
    return this.unneeded;
  }

  idle(): IdleConnection[] {
    return this.idling;
  }

  rest(since: number, release: Release, closesAtOnce = true): void {
    const close = () => {
      this.closed.push(since);
      if (closesAtOnce) release();
    };
    this.idling.push({ since, release, close });
  }
}

/** Acquires for these in turn, and keeps the order in which they are served. */
function acquireInTurn(budget: ConnectionBudget, owners: string[]) {
  const served: string[] = [];
  const releases: Release[] = [];
  const waiting = owners.map(async owner => {
    releases.push(await budget.acquire(owner, forEver));
    served.push(owner);
  });
  return { served, releases, all: Promise.all(waiting) };
}

describe('places', () => {
  it('are given at once up to the limit, and counted', async () => {
    const budget = new ConnectionBudget(2);

    await budget.acquire('catalog', forEver);
    await budget.acquire('catalog', forEver);
    const third = acquireInTurn(budget, ['search']);
    await settle();

    expect(budget.limit).toBe(2);
    expect(budget.inUse).toBe(2);
    expect(budget.waiting).toBe(1);
    expect(third.served).toEqual([]);
  });

  it('are free again once, however often they are given back', async () => {
    const budget = new ConnectionBudget(1);
    const release = await budget.acquire('catalog', forEver);
    const { served } = acquireInTurn(budget, ['search', 'auth']);

    release();
    release();
    await settle();

    expect(served).toEqual(['search']);
    expect(budget.inUse).toBe(1);
    expect(budget.waiting).toBe(1);
  });

  it('go round the owners, one each', async () => {
    const budget = new ConnectionBudget(1);
    const release = await budget.acquire('events', forEver);
    const { served, releases, all } = acquireInTurn(budget, [
      'catalog',
      'catalog',
      'catalog',
      'search',
      'search',
      'auth',
    ]);

    release();
    for (let count = 0; count < 6; count++) {
      await settle();
      releases.at(-1)!();
    }
    await all;

    expect(served).toEqual([
      'catalog',
      'search',
      'auth',
      'catalog',
      'search',
      'catalog',
    ]);
  });

  it('pass an owner by who has connections to spare', async () => {
    const budget = new ConnectionBudget(1);
    const release = await budget.acquire('events', forEver);
    const pool = new Pool('catalog');
    pool.unneeded = 1;
    budget.join(pool);
    const { served } = acquireInTurn(budget, ['catalog', 'search']);

    release();
    await settle();

    expect(served).toEqual(['search']);
  });

  it('go to an owner with connections to spare where nobody else waits', async () => {
    const budget = new ConnectionBudget(1);
    const release = await budget.acquire('events', forEver);
    const pool = new Pool('catalog');
    pool.unneeded = 5;
    budget.join(pool);
    const { served } = acquireInTurn(budget, ['catalog']);

    release();
    await settle();

    expect(served).toEqual(['catalog']);
  });
});

describe('somebody who waits no longer', () => {
  it('is told who holds the connections', async () => {
    const budget = new ConnectionBudget(3);
    await budget.acquire('catalog', forEver);
    await budget.acquire('search', forEver);
    await budget.acquire('catalog', forEver);
    const patience = new AbortController();
    const turn = budget.acquire('auth', patience.signal);

    patience.abort();

    await expect(turn).rejects.toMatchObject({
      code: 'connections-spent',
      message:
        'All 3 connections that backend.database.lakebase.maxConnections ' +
        'allows are in use: catalog 2, search 1. Raise it, or lower ' +
        'knexConfig.pool.max of the plugins that hold most of them',
    });
    expect(budget.waiting).toBe(0);
  });

  it('leaves the line, and not his place in it', async () => {
    const budget = new ConnectionBudget(1);
    const release = await budget.acquire('catalog', forEver);
    const patience = new AbortController();
    const gone = budget.acquire('auth', patience.signal);
    const { served } = acquireInTurn(budget, ['search']);

    patience.abort();
    await expect(gone).rejects.toThrow();
    release();
    await settle();

    expect(served).toEqual(['search']);
    expect(budget.inUse).toBe(1);
  });

  it('takes no place even where one is free', async () => {
    const budget = new ConnectionBudget(1);

    const turn = budget.acquire('auth', AbortSignal.abort());

    await expect(turn).rejects.toMatchObject({ code: 'connections-spent' });
    expect(budget.inUse).toBe(0);
  });

  it('does not lose the place that he was given in time', async () => {
    const budget = new ConnectionBudget(1);
    const patience = new AbortController();
    const release = await budget.acquire('auth', patience.signal);

    patience.abort();

    expect(budget.inUse).toBe(1);
    release();
    expect(budget.inUse).toBe(0);
  });
});

describe('idle connections of others', () => {
  it('are closed for one who waits, the longest idle first', async () => {
    const budget = new ConnectionBudget(3);
    const catalog = new Pool('catalog');
    const search = new Pool('search');
    budget.join(catalog);
    budget.join(search);
    catalog.rest(30, await budget.acquire('catalog', forEver));
    search.rest(10, await budget.acquire('search', forEver));
    catalog.rest(20, await budget.acquire('catalog', forEver));

    await budget.acquire('auth', forEver);
    expect([catalog.closed, search.closed]).toEqual([[], [10]]);

    await budget.acquire('auth', forEver);
    expect([catalog.closed, search.closed]).toEqual([[20], [10]]);
  });

  it('are closed once for each who waits, however slowly they close', async () => {
    const budget = new ConnectionBudget(2);
    const pool = new Pool('catalog');
    budget.join(pool);
    pool.rest(1, await budget.acquire('catalog', forEver), false);
    pool.rest(2, await budget.acquire('catalog', forEver), false);
    const { served } = acquireInTurn(budget, ['search']);

    budget.offer();
    budget.offer();

    expect(pool.closed).toEqual([1]);
    expect(served).toEqual([]);
    pool.idling[0].release();
    await settle();
    expect(served).toEqual(['search']);
    expect(pool.closed).toEqual([1]);
  });

  it('are closed as soon as they become idle while somebody waits', async () => {
    const budget = new ConnectionBudget(1);
    const pool = new Pool('catalog');
    budget.join(pool);
    const release = await budget.acquire('catalog', forEver);
    const { served } = acquireInTurn(budget, ['search']);
    await settle();

    pool.rest(1, release);
    budget.offer();
    await settle();

    expect(served).toEqual(['search']);
  });

  it('stay while nobody waits', async () => {
    const budget = new ConnectionBudget(2);
    const pool = new Pool('catalog');
    budget.join(pool);
    pool.rest(1, await budget.acquire('catalog', forEver));

    await budget.acquire('search', forEver);
    budget.offer();

    expect(pool.closed).toEqual([]);
  });

  it('stay while who waits has connections to spare', async () => {
    const budget = new ConnectionBudget(1);
    const catalog = new Pool('catalog');
    const search = new Pool('search');
    budget.join(catalog);
    budget.join(search);
    search.unneeded = 1;
    catalog.rest(1, await budget.acquire('catalog', forEver));

    acquireInTurn(budget, ['search']);
    await settle();
    expect(catalog.closed).toEqual([]);

    search.unneeded = 0;
    budget.offer();
    expect(catalog.closed).toEqual([1]);
  });

  it('stay where their pool has left', async () => {
    const budget = new ConnectionBudget(1);
    const pool = new Pool('catalog');
    budget.join(pool);
    pool.rest(1, await budget.acquire('catalog', forEver));
    budget.leave(pool);

    acquireInTurn(budget, ['search']);
    await settle();

    expect(pool.closed).toEqual([]);
  });

  it('are not asked to close again where a pool lists them after their end', async () => {
    const budget = new ConnectionBudget(1);
    const pool = new Pool('catalog');
    budget.join(pool);
    const release = await budget.acquire('catalog', forEver);
    pool.rest(1, release);
    release();
    await budget.acquire('auth', forEver);

    acquireInTurn(budget, ['search']);
    await settle();

    expect(pool.closed).toEqual([]);
  });
});

describe('a connection that cancels a query', () => {
  it('takes no place, two at a time', async () => {
    const budget = new ConnectionBudget(1);
    await budget.acquire('catalog', forEver);

    await budget.acquireToCancel('catalog', forEver);
    await budget.acquireToCancel('search', forEver);

    expect(budget.inUse).toBe(1);
  });

  it('waits like any other past those', async () => {
    const budget = new ConnectionBudget(1);
    const release = await budget.acquire('catalog', forEver);
    const first = await budget.acquireToCancel('catalog', forEver);
    await budget.acquireToCancel('catalog', forEver);
    let third: Release | undefined;
    const turn = budget
      .acquireToCancel('catalog', forEver)
      .then(given => (third = given));
    await settle();
    expect(third).toBeUndefined();

    release();
    await turn;
    expect(budget.inUse).toBe(1);
    // Given back twice, one is free for another cancellation, not two.
    first();
    first();
    await budget.acquireToCancel('catalog', forEver);
    const late = budget.acquireToCancel('catalog', AbortSignal.abort());
    await expect(late).rejects.toMatchObject({ code: 'connections-spent' });
  });
});
