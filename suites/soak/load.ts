import { setTimeout as sleep } from 'node:timers/promises';
import { URLS } from '../../testbed/urls';
import type { Journal } from './journal';
import type { Portal } from './portal';
import type { RowKind, Rows } from './rows';

/** Between two requests of one user. */
const THINK_MS = 100;

interface Use {
  what: string;
  /** @throws when Backstage does not do it. */
  request(number: number): Promise<unknown>;
}

/** What people and machines do on the portal: each plugin's pool is used. */
async function usesOf(portal: Portal, rows: Rows): Promise<Use[]> {
  const { backstageIdentity } = JSON.parse(
    await portal.request('/api/auth/guest/refresh', { method: 'POST' }),
  ) as { backstageIdentity: { token: string } };

  const writes = (
    kind: RowKind,
    write: (id: string) => Promise<unknown>,
    name = kind as string,
  ): Use => ({
    what: `write of a ${name}`,
    request: async number => {
      const id = `${name} ${number}`;
      await write(id);
      rows.acknowledge(kind, id);
    },
  });
  const reads = (path: string): Use => ({
    what: path,
    request: () => portal.request(path),
  });
  const entry = (seconds: number) => (id: string) =>
    portal.request('/api/ledger/entries', { body: { id, seconds } });

  return [
    reads(URLS.entities),
    reads(URLS.search),
    reads('/api/auth/.well-known/jwks.json'),
    reads('/api/scaffolder/v2/tasks'),
    {
      what: 'sign-in',
      request: () =>
        portal.request('/api/auth/guest/refresh', { method: 'POST' }),
    },
    {
      what: 'publication of an event',
      request: number =>
        portal.request('/api/events/bus/v1/events', {
          body: { event: { topic: 'soak', payload: { number } } },
        }),
    },
    writes('entry', entry(0), 'ledger entry'),
    writes('entry', entry(1), 'slow ledger entry'),
    writes('notification', title =>
      portal.request('/api/notifications/notifications', {
        body: { recipients: { type: 'broadcast' }, payload: { title } },
      }),
    ),
    writes('setting', key =>
      portal.request(
        `/api/user-settings/buckets/soak/keys/${encodeURIComponent(key)}`,
        {
          method: 'PUT',
          body: { value: { written: key } },
          token: backstageIdentity.token,
        },
      ),
    ),
  ];
}

/** Users of the portal, each of whom does one thing again and again. */
export class Load {
  requests = 0;
  /** Requests of each kind that succeeded since the last call of `marked`. */
  readonly #succeeded = new Map<string, number>();
  readonly #journal: Journal;
  readonly #stopping = new AbortController();
  #abandoned = false;
  readonly #users: Promise<void>[] = [];

  static async start(
    portal: Portal,
    rows: Rows,
    journal: Journal,
  ): Promise<Load> {
    const load = new Load(journal);
    for (const use of await usesOf(portal, rows)) {
      load.#succeeded.set(use.what, 0);
      load.#users.push(load.#repeat(use));
    }
    return load;
  }

  private constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** Forgets what has succeeded up to now. */
  mark(): void {
    for (const what of this.#succeeded.keys()) this.#succeeded.set(what, 0);
  }

  /** What has not succeeded once since `mark`. */
  get unserved(): string[] {
    return [...this.#succeeded]
      .filter(([, count]) => count === 0)
      .map(([what]) => what);
  }

  /** What has begun comes to its end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#users);
  }

  /** Nothing counts any more: Backstage is taken away. */
  abandon(): void {
    this.#stopping.abort();
    this.#abandoned = true;
  }

  async #repeat(use: Use): Promise<void> {
    for (let number = 1; !this.#stopping.signal.aborted; number++) {
      const begun = performance.now();
      this.requests += 1;
      try {
        await use.request(number);
        this.#succeeded.set(use.what, this.#succeeded.get(use.what)! + 1);
      } catch (error) {
        if (this.#abandoned) return;
        this.#journal.failed(use.what, begun, error as Error);
      }
      await sleep(THINK_MS);
    }
  }
}
