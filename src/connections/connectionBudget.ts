import { countBy, minBy, sum } from 'lodash';
import { LAKEBASE_KEY } from '../config/keys';
import { LakebaseError } from '../errors';

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
  /** For whom it opens them, and who waits for its turn. */
  owner: string;
  /** How many of those that it waits for it needs no more. */
  surplus(): number;
  /** Those that may be closed for somebody else's. */
  idle(): IdleConnection[];
}

/** A canceled query frees a connection, so it must not wait for one. */
const CANCELLATIONS_AT_ONCE = 2;

/**
 * Bounds how many connections this process has open. Owners who find no place
 * take turns, one connection at each, since one is enough to go on with. For
 * each that is waited for, the connection that has been idle for longest is
 * closed.
 */
export class ConnectionBudget {
  /** How many connections may be open at once. */
  readonly limit: number;
  readonly #members = new Set<BudgetMember>();
  readonly #owners = new Map<Release, string>();
  readonly #closing = new Set<Release>();
  /** Who waits for how many, in the order of their turns. */
  readonly #waiters = new Map<string, (() => void)[]>();
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
    return sum([...this.#waiters.values()].map(({ length }) => length));
  }

  join(member: BudgetMember): void {
    this.#members.add(member);
  }

  leave(member: BudgetMember): void {
    this.#members.delete(member);
  }

  /** To be called when a connection has become idle, or is needed. */
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
        this.#leave(owner, admit);
        reject(this.#spent());
      };
      const admit = () => {
        signal.removeEventListener('abort', giveUp);
        resolve(this.#hold(owner));
      };
      if (signal.aborted) return reject(this.#spent());
      signal.addEventListener('abort', giveUp);
      const others = this.#waiters.get(owner) ?? [];
      this.#waiters.set(owner, [...others, admit]);
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
    while (this.#waiters.size > 0 && this.inUse < this.limit) {
      const owners = [...this.#waiters.keys()];
      const owner = owners.find(each => this.#needed(each) > 0) ?? owners[0];
      const [admit] = this.#waiters.get(owner)!;
      this.#leave(owner, admit);
      admit();
    }
    this.#closeForWaiters();
  }

  /** The rest of its owner's waiters get in line again. */
  #leave(owner: string, admit: () => void): void {
    const others = this.#waiters.get(owner)!.filter(each => each !== admit);
    this.#waiters.delete(owner);
    if (others.length > 0) this.#waiters.set(owner, others);
  }

  /** How many connections an owner waits for, and has a use for. */
  #needed(owner: string): number {
    const own = [...this.#members].filter(member => member.owner === owner);
    const surplus = sum(own.map(member => member.surplus()));
    return Math.max(0, this.#waiters.get(owner)!.length - surplus);
  }

  #neededByAll(): number {
    return sum([...this.#waiters.keys()].map(owner => this.#needed(owner)));
  }

  #closeForWaiters(): void {
    // Counted again each time: a connection may close synchronously.
    while (this.#neededByAll() > this.#closing.size) {
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
      problem:
        `All ${this.limit} connections that ${LAKEBASE_KEY}.maxConnections ` +
        `allows are in use: ${holders}`,
      remedy:
        'Raise it, or lower knexConfig.pool.max of the plugins that hold most ' +
        'of them',
    });
  }
}
