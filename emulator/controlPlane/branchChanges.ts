import type { ServerClock } from '../serverClock';
import { ApiError } from './apiError';
import type { Catalog } from './catalog';
import { checkFields } from './fields';
import type { Operations } from './operations';
import { type BranchRecord, parentOf } from './resources';

/** Where the data of branches is. */
export interface BranchStorage {
  /** @returns the host that leads to the copy, and where the copy begins. */
  copy(
    source: string,
    name: string,
    point: { time?: Date; lsn?: string },
  ): Promise<{ host: string; lsn: string; time: Date }>;
  /** Nobody reaches it any more. */
  close(name: string): Promise<void>;
  reopen(name: string): string;
  purge(name: string): Promise<void>;
}

const DAY_MS = 86_400_000;
const ID = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
const DURATION = /^(\d+(?:\.\d+)?)s$/;
const LSN = /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i;

const SPEC = [
  'source_branch',
  'source_branch_time',
  'source_branch_lsn',
  'ttl',
  'expire_time',
  'no_expiry',
  'is_protected',
];

/** As it comes in: the API reads numbers as text, too. */
type Spec = Record<string, string | number | boolean | undefined>;

/** What a caller may do to branches, as the platform allows it. */
export class BranchChanges {
  /** Of those that are not archived. */
  limit = 10;
  /** A workspace may have a lower one. */
  maxTtlMs = 30 * DAY_MS;
  readonly #clock: ServerClock;
  readonly #catalog: Catalog;
  readonly #operations: Operations;
  readonly #storage: BranchStorage;

  constructor(
    clock: ServerClock,
    catalog: Catalog,
    operations: Operations,
    storage: BranchStorage,
  ) {
    this.#clock = clock;
    this.#catalog = catalog;
    this.#operations = operations;
    this.#storage = storage;
  }

  create(project: string, id: string | null, spec: Spec): object {
    if (!id)
      throw invalid(
        `Field 'branch_id' is required, expected non-default value (not "")!`,
      );
    if (!ID.test(id)) throw invalid(`Invalid branch_id '${id}'`);
    const name = `${project}/branches/${id}`;
    checkFields(spec, SPEC);
    const expiresAt = this.#expiryOf(spec);
    const source = this.#catalog.branch(
      (spec.source_branch as string | undefined) ??
        this.#catalog.defaultBranchOf(project),
    );
    const point = this.#pointOf(spec, source);
    this.#checkSource(source);
    const unarchived = this.#catalog
      .branchesOf(project)
      .filter(({ state }) => state !== 'ARCHIVED');
    if (unarchived.length >= this.limit)
      throw new ApiError(
        429,
        `Project has reached the limit of ${this.limit} unarchived branches`,
        'QUOTA_EXCEEDED',
      );

    this.#catalog.addBranch(name, {
      primary: false,
      state: 'INIT',
      source: source.name,
      isProtected: spec.is_protected === true,
      expiresAt,
    });
    return this.#operations.start(
      name,
      'Branch',
      async () => {
        const { host, lsn, time } = await this.#storage.copy(
          source.name,
          name,
          point,
        );
        const branch = this.#catalog.branch(name);
        Object.assign(branch, {
          state: 'READY',
          sourceLsn: lsn,
          sourceTime: time,
        });
        if (this.#catalog.makesPrimary)
          this.#catalog.addEndpoint(`${name}/endpoints/primary`, { host });
        branch.host = host;
        return this.#catalog.read(name);
      },
      () => this.#catalog.removeBranch(name),
    );
  }

  update(name: string, mask: string | null, spec: Spec): object {
    const branch = this.#catalog.branch(name);
    const masks = (mask ?? '').split(',').filter(Boolean);
    if (masks.length === 0) throw invalid("Field 'update_mask' is required");
    for (const each of masks) {
      if (each === 'spec.is_protected')
        branch.isProtected = spec.is_protected === true;
      else if (each === 'spec.expiration') {
        if (this.#catalog.childrenOf(name).length > 0)
          throw state('a branch with children cannot expire');
        branch.expiresAt = this.#expiryOf(spec);
      } else throw invalid(`Unknown field '${each}' in update_mask`);
    }
    return this.#operations.start(name, 'Branch', () =>
      Promise.resolve(this.#catalog.read(name)),
    );
  }

  remove(name: string, purge: boolean): object {
    const branch = this.#catalog.branch(name);
    const project = parentOf(name);
    if (!branch.source) throw state('cannot delete root branch', MANAGED);
    if (this.#catalog.defaultBranchOf(project) === name)
      throw state('cannot delete default branch');
    if (branch.state === 'INIT') throw state('branch is not ready');
    if (branch.isProtected) throw invalid('cannot delete protected branch');
    if (this.#catalog.childrenOf(name).length > 0)
      throw state('cannot delete branch with children');
    return this.#operations.start(name, 'Branch', async () => {
      await this.#storage.close(name);
      if (purge) {
        await this.#storage.purge(name);
        this.#catalog.removeBranch(name);
      } else this.#catalog.deleteBranch(name, this.#clock.now());
    });
  }

  undelete(name: string): object {
    const branch = this.#catalog.undeleteBranch(name);
    return this.#operations.start(name, 'Branch', () => {
      const host = this.#storage.reopen(name);
      branch.host = host;
      this.#catalog.addEndpoint(`${name}/endpoints/primary`, { host });
      return Promise.resolve(this.#catalog.read(name));
    });
  }

  addEndpoint(branchName: string, id: string | null, spec: Spec): object {
    const branch = this.#catalog.branch(branchName);
    if (!id) throw invalid("Field 'endpoint_id' is required");
    const type = /^ENDPOINT_TYPE_(READ_WRITE|READ_ONLY)$/.exec(
      (spec.endpoint_type as string | undefined) ?? '',
    )?.[1] as 'READ_WRITE' | 'READ_ONLY' | undefined;
    if (!type) throw invalid("Field 'endpoint_type' is required");
    if (branch.state === 'INIT') throw state('branch is not ready');
    const name = `${branchName}/endpoints/${id}`;
    this.#catalog.addEndpoint(name, {
      type,
      host: null,
      state: 'INIT',
      minCu: spec.autoscaling_limit_min_cu as number | undefined,
      maxCu: spec.autoscaling_limit_max_cu as number | undefined,
    });
    return this.#operations.start(name, 'Endpoint', () => {
      this.#catalog.changeEndpoint(name, {
        host: branch.host,
        state: undefined,
      });
      return Promise.resolve(this.#catalog.read(name));
    });
  }

  updateEndpoint(name: string, mask: string | null, spec: Spec): object {
    this.#catalog.read(name);
    const known: Record<string, 'minCu' | 'maxCu'> = {
      'spec.autoscaling_limit_min_cu': 'minCu',
      'spec.autoscaling_limit_max_cu': 'maxCu',
    };
    const masks = (mask ?? '').split(',').filter(Boolean);
    if (masks.length === 0) throw invalid("Field 'update_mask' is required");
    for (const each of masks) {
      if (!(each in known))
        throw invalid(`Unknown field '${each}' in update_mask`);
      const value = Number(spec[each.slice('spec.'.length)]);
      this.#catalog.changeEndpoint(name, { [known[each]]: value });
    }
    return this.#operations.start(name, 'Endpoint', () =>
      Promise.resolve(this.#catalog.read(name)),
    );
  }

  /** By the platform's clock. */
  async expire(): Promise<void> {
    for (const { name, expiresAt } of this.#catalog.branches()) {
      if (expiresAt === undefined || expiresAt > this.#clock.now()) continue;
      this.#catalog.deleteBranch(name, expiresAt);
      await this.#storage.close(name);
    }
  }

  #expiryOf(spec: Spec): number | undefined {
    const given = ['ttl', 'expire_time', 'no_expiry'].filter(
      name => spec[name] !== undefined,
    );
    if (given.length !== 1)
      throw invalid(
        'Exactly one of ttl, expire_time, no_expiry must be specified',
      );
    if (spec.no_expiry === true) return undefined;
    const now = this.#clock.now();
    const seconds = DURATION.exec(String(spec.ttl))?.[1];
    const at =
      spec.ttl === undefined
        ? Date.parse(String(spec.expire_time))
        : now + Number(seconds) * 1000;
    if (!(at > now)) throw invalid(`Invalid ${given[0]}`);
    if (at > now + this.maxTtlMs)
      throw invalid('expiration time exceeds the maximum expiration time');
    return at;
  }

  #pointOf(spec: Spec, source: BranchRecord): { time?: Date; lsn?: string } {
    const { source_branch_time: time, source_branch_lsn: lsn } = spec;
    if (time !== undefined && lsn !== undefined)
      throw invalid(
        'Only one of source_branch_time, source_branch_lsn may be specified',
      );
    if (lsn !== undefined) {
      if (!LSN.test(String(lsn))) throw invalid('Invalid source_branch_lsn');
      return { lsn: String(lsn) };
    }
    if (time === undefined) return {};
    const at = Date.parse(String(time));
    const now = this.#clock.now();
    if (!(at <= now)) throw invalid('source_branch_time is in the future');
    const begin = Math.max(
      source.createdAt,
      now - this.#catalog.historyRetentionMs,
    );
    if (at < begin)
      throw invalid('source_branch_time is before the history of the branch');
    return { time: new Date(at - this.#clock.offsetMs) };
  }

  #checkSource({ state: current, expiresAt }: BranchRecord): void {
    if (current === 'INIT') throw state('source branch is not ready');
    if (expiresAt !== undefined)
      throw state('a branch that expires cannot have children');
  }
}

const MANAGED = { declarative_context: 'MANAGED_BY_PARENT' };

const invalid = (message: string) => new ApiError(400, message);

const state = (message: string, metadata?: object) =>
  new ApiError(400, message, 'INVALID_STATE', metadata);
