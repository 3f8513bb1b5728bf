import { countBy, minBy } from 'lodash';
import { LAKEBASE_KEY } from './config';
import { LakebaseError } from './errors';

/** Gives a place back; doing so again changes nothing. */
export type Release = () => void;

/** A connection that nobody uses at the moment. */
export interface IdleConnection {
  /** Since when, on one clock for all pools. */
  since: number;
  /** What its place was taken with. */
  release: Release;
  close(): void;
}

/** What opens connections: a pool. */
export interface BudgetMember {
  /** Those that may be closed for somebody else's. */
  idle(): IdleConnection[];
}

/** A canceled query frees a connection, so it must not wait for one. */
const CANCELLATIONS_AT_ONCE = 2;

/**
 * Bounds how many connections this process has open. Who finds no place waits
 * for one, first come, first served, while for each who waits the connection
 * that has been idle for longest is closed.
 */
export class ConnectionBudget {
  /** How many connections may be open at once. */
  readonly limit: number;
  readonly #members = new Set<BudgetMember>();
  readonly #owners = new Map<Release, string>();
  readonly #closing = new Set<Release>();
  readonly #waiters: (() => void)[] = [];
  #cancellations = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Connections that are open, or being opened. */
  get inUse(): number {
    return this.#owners.size;
  }

  /** Connections that are waited for. */
  get waiting(): number {
    return this.#waiters.length;
  }

  join(member: BudgetMember): void {
    this.#members.add(member);
  }

  leave(member: BudgetMember): void {
    this.#members.delete(member);
  }

  /** To be called when a connection has become idle. */
  offer(): void {
    this.#closeForWaiters();
  }

  /**
   * Takes a place for one connection.
   *
   * @throws LakebaseError `connections-spent` when `signal` aborts before.
   */
  acquire(owner: string, signal: AbortSignal): Promise<Release> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#waiters.splice(this.#waiters.indexOf(admit), 1);
        reject(this.#spent());
      };
      const admit = () => {
        signal.removeEventListener('abort', giveUp);
        resolve(this.#hold(owner));
      };
      if (signal.aborted) return reject(this.#spent());
      signal.addEventListener('abort', giveUp);
      this.#waiters.push(admit);
      this.#admit();
    });
  }

  /** The same for a connection that cancels a query of another one. */
  acquireToCancel(owner: string, signal: AbortSignal): Promise<Release> {
    if (this.#cancellations >= CANCELLATIONS_AT_ONCE) {
      return this.acquire(owner, signal);
    }
    this.#cancellations += 1;
    let held = true;
    return Promise.resolve(() => {
      if (held) this.#cancellations -= 1;
      held = false;
    });
  }

  #hold(owner: string): Release {
    const release = () => {
      if (!this.#owners.delete(release)) return;
      this.#closing.delete(release);
      this.#admit();
    };
    this.#owners.set(release, owner);
    return release;
  }

  #admit(): void {
    while (this.#waiters.length > 0 && this.inUse < this.limit) {
      this.#waiters.shift()!();
    }
    this.#closeForWaiters();
  }

  #closeForWaiters(): void {
    while (this.#waiters.length > this.#closing.size) {
      const idle = [...this.#members]
        .flatMap(member => member.idle())
        .filter(({ release }) => this.#canClose(release));
      const longest = minBy(idle, ({ since }) => since);
      if (!longest) return;
      this.#closing.add(longest.release);
      longest.close();
    }
  }

  /** Pools find out late that a connection is closed. */
  #canClose(release: Release): boolean {
    return this.#owners.has(release) && !this.#closing.has(release);
  }

  #spent(): LakebaseError {
    const holders = Object.entries(countBy([...this.#owners.values()]))
      .map(([owner, count]) => `${owner} ${count}`)
      .join(', ');
    return new LakebaseError('connections-spent', {
      message:
        `All ${this.limit} connections that ${LAKEBASE_KEY}.maxConnections ` +
        `allows are in use: ${holders}. Raise it, or lower ` +
        'knexConfig.pool.max of the plugins that hold most of them',
    });
  }
}
