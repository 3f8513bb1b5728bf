import { mkdir, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Branch } from './branch';
import type { BranchStorage } from './controlPlane/branchChanges';
import { BRANCH } from './controlPlane/catalog';
import type { Backend } from './gateway/backend';
import { Compute } from './gateway/compute';
import type { Gateway } from './gateway/gateway';
import {
  copyCluster,
  copyClusterAt,
  endOfLog,
  keepLog,
  type LocalServer,
} from './postgres/clusterCopy';
import type { PostgresServer } from './postgres/postgresServer';
import { startPostgresProcess } from './postgres/startPostgresProcess';
import type { ServerClock } from './serverClock';

interface Copy extends Backend {
  host: string;
}

/**
 * A Postgres for each branch, made from a consistent copy of its source's data
 * and asleep until somebody connects. Production is the server that was there.
 */
export class LocalBranches implements BranchStorage {
  readonly #production: Branch;
  readonly #gateway: Gateway;
  readonly #clock: ServerClock;
  readonly #copies = new Map<string, Copy>();
  /** Where all copies are; the server of production takes it along at its end. */
  #folder?: string;
  /** A copy of production to start from into the past. */
  #base?: string;

  constructor(production: Branch, gateway: Gateway, clock: ServerClock) {
    this.#production = production;
    this.#gateway = gateway;
    this.#clock = clock;
  }

  /** From here on a branch may begin at any moment of production's. */
  async keepHistory(): Promise<void> {
    const server = await this.#local(BRANCH);
    await keepLog(server, true);
    this.#base = await this.#newFolder(server);
    await copyCluster(server, this.#base);
  }

  async copy(
    source: string,
    name: string,
    point: { time?: Date; lsn?: string },
  ) {
    const server = await this.#local(source);
    const data = await this.#newFolder(server);
    const { time, lsn } = point;
    const target = time ? { time } : lsn ? { lsn } : undefined;
    if (target) {
      if (!this.#base || source !== BRANCH)
        throw new Error('Only production has a history here, if it is kept');
      await copyClusterAt(server, this.#base, data, target);
    } else await copyCluster(server, data);

    const branch = this.#branch(source).copy(
      () => startOn(data, server),
      () => rm(data, { recursive: true, force: true }),
    );
    const compute = new Compute(this.#clock, () => branch.server());
    compute.suspend({ wakeDelayMs: 0 });
    const host = this.#gateway.addHost({ branch, compute });
    this.#copies.set(name, { branch, compute, host });
    return {
      host,
      lsn: lsn ?? (await endOfLog(server)),
      time: time ?? new Date(),
    };
  }

  async close(name: string): Promise<void> {
    const copy = this.#copies.get(name);
    if (!copy) return;
    this.#gateway.removeHost(copy.host);
    await this.#gateway.dropConnections('close', copy.host);
  }

  reopen(name: string): string {
    const copy = this.#copies.get(name)!;
    copy.host = this.#gateway.addHost(copy);
    return copy.host;
  }

  async purge(name: string): Promise<void> {
    await this.#copies.get(name)?.branch.remove();
    this.#copies.delete(name);
  }

  /** Runs as superuser there. */
  query(name: string, sql: string, database: string) {
    return this.#branch(name).query(sql, undefined, database);
  }

  async stop(): Promise<void> {
    for (const name of [...this.#copies.keys()]) await this.purge(name);
    if (this.#base) await keepLog(await this.#local(BRANCH), false);
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
  }

  #branch(name: string): Branch {
    return this.#copies.get(name)?.branch ?? this.#production;
  }

  async #local(name: string): Promise<LocalServer> {
    const server = await this.#branch(name).server();
    const { data } = server;
    if (data === undefined)
      throw new Error('The data of this Postgres is not on this machine');
    return { ...server, data };
  }

  /** A place for data, that is not there yet. */
  async #newFolder({ data }: LocalServer): Promise<string> {
    this.#folder ??= join(dirname(data), `branches-${randomName()}`);
    await mkdir(this.#folder, { recursive: true });
    return join(this.#folder, randomName());
  }
}

const randomName = () => randomBytes(6).toString('hex');

const startOn = (
  data: string,
  { password }: PostgresServer,
): Promise<PostgresServer> =>
  startPostgresProcess({ copy: { data, password } });
