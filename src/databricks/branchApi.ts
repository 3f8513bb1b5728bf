import { posix } from 'node:path';
import { LakebaseError } from '../errors';
import type { Clock } from '../time/clock';
import { pausesBetweenLooks } from '../time/polls';
import { retry } from '../time/retry';
import { READ_WRITE } from './autoscalingEndpoint';
import {
  type BranchInfo,
  branchesReply,
  branchReply,
  endpointsReply,
  type Operation,
  operationReply,
  type ProjectInfo,
  projectReply,
} from './branchReplies';
import type { GetResource, ResourceRequest } from './endpoint';
import { readPages } from './pages';

const API = '/api/2.0/postgres';

/** A project has 500 branches at most, in the platform's own words. */
const MAX_PAGES = 50;

/** The platform takes seconds; field reports of an endpoint say two minutes. */
const PATIENCE_MS = 10 * 60_000;

/** What a branch is made from, and how long it lives. */
export interface BranchSpec {
  /** `projects/…/branches/…` */
  source: string;
  at?: { time: Date } | { lsn: string };
  ttlMs: number;
}

/** A read-write endpoint that can be connected to. */
export interface BranchEndpoint {
  /** `projects/…/branches/…/endpoints/…` */
  name: string;
  host: string;
  /** Missing where the platform does not say. */
  size?: EndpointSize;
}

/** In compute units. */
export interface EndpointSize {
  min: number;
  max: number;
}

/**
 * The branches of one project. Each call is retried while what keeps it from
 * succeeding may pass, until `signal` aborts.
 */
export class BranchApi {
  readonly project: string;
  readonly #request: GetResource;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;

  constructor(
    project: string,
    request: GetResource,
    clock: Clock,
    signal: AbortSignal,
  ) {
    this.project = project;
    this.#request = request;
    this.#clock = clock;
    this.#signal = signal;
  }

  nameOf(id: string): string {
    return `${this.project}/branches/${id}`;
  }

  /** @throws LakebaseError */
  readProject(): Promise<ProjectInfo> {
    return this.#call({
      action: 'look up the project',
      path: this.project,
      schema: projectReply,
    });
  }

  /** @throws LakebaseError */
  list({ deleted = false } = {}): Promise<BranchInfo[]> {
    return readPages(
      `the branches of ${this.project}`,
      MAX_PAGES,
      async page => {
        const query = new URLSearchParams({
          ...(deleted && { show_deleted: 'true' }),
          ...(page && { page_token: page }),
        });
        const reply = await this.#call({
          action: 'list the branches of the project',
          path: `${this.project}/branches${query.size > 0 ? `?${query.toString()}` : ''}`,
          schema: branchesReply,
        });
        return { entries: reply.branches, next: reply.next_page_token };
      },
    );
  }

  /**
   * @returns undefined where there is none, or none any more.
   * @throws LakebaseError
   */
  async find(name: string): Promise<BranchInfo | undefined> {
    try {
      const branch = await this.#call({
        action: `look up ${name}`,
        path: name,
        schema: branchReply,
      });
      return branch.state === 'DELETED' ? undefined : branch;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /**
   * Makes a branch, and waits until it is made.
   *
   * @throws LakebaseError `branch-exists` where its name is taken.
   */
  async create(id: string, spec: BranchSpec): Promise<BranchInfo> {
    const name = this.nameOf(id);
    const { source, at, ttlMs } = spec;
    await this.#change(name, {
      action: `make ${name}`,
      method: 'POST',
      path: `${this.project}/branches?branch_id=${encodeURIComponent(id)}`,
      body: {
        spec: {
          source_branch: source,
          ttl: `${Math.round(ttlMs / 1_000)}s`,
          ...(at && 'time' in at && { source_branch_time: at.time }),
          ...(at && 'lsn' in at && { source_branch_lsn: at.lsn }),
        },
      },
    });
    const made = await this.find(name);
    if (made) return made;
    throw gone(name);
  }

  /**
   * Waits for a branch that somebody else makes.
   *
   * @throws LakebaseError
   */
  async untilReady(branch: BranchInfo): Promise<BranchInfo> {
    let current: BranchInfo | undefined = branch;
    const wait = this.#waitFor(`${branch.name} to be ready`);
    while (current?.state === 'INIT') {
      await wait();
      current = await this.find(branch.name);
    }
    if (current) return current;
    throw gone(branch.name);
  }

  /**
   * Deletes a branch, and waits until it is gone; one that is gone already is
   * all right.
   *
   * @throws LakebaseError
   */
  async delete(name: string): Promise<void> {
    try {
      await this.#change(name, {
        action: `delete ${name}`,
        method: 'DELETE',
        path: name,
      });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /**
   * The read-write endpoint of a branch, once it has a host; made where the
   * branch has none.
   *
   * @throws LakebaseError
   */
  async endpointOf(branch: string): Promise<BranchEndpoint> {
    const wait = this.#waitFor(`the endpoint of ${branch} to have a host`);
    for (;;) {
      const found = (await this.#endpoints(branch)).find(
        ({ status }) => status.endpoint_type === READ_WRITE,
      );
      if (!found) await this.#createEndpoint(branch);
      else if (found.status.hosts.host) {
        const { hosts, ...status } = found.status;
        const min = status.autoscaling_limit_min_cu;
        const max = status.autoscaling_limit_max_cu;
        const size =
          min === undefined || max === undefined ? undefined : { min, max };
        return { name: found.name, host: hosts.host!, size };
      }
      await wait();
    }
  }

  /**
   * Gives an endpoint another size, and waits until it has it.
   *
   * @throws LakebaseError
   */
  async resize(
    branch: string,
    endpoint: string,
    { min, max }: EndpointSize,
  ): Promise<void> {
    const mask = ['min', 'max'].map(it => `spec.autoscaling_limit_${it}_cu`);
    await this.#change(branch, {
      action: `resize ${endpoint}`,
      method: 'PATCH',
      path: `${endpoint}?update_mask=${mask.join(',')}`,
      body: {
        spec: { autoscaling_limit_min_cu: min, autoscaling_limit_max_cu: max },
      },
    });
  }

  /** Its endpoints, and what bills may call each of them. */
  async endpointNames(
    branch: string,
  ): Promise<{ id: string; billedAs: string[] }[]> {
    return (await this.#endpoints(branch)).map(({ name, uid, status }) => ({
      id: posix.basename(name),
      // By the first part of the host, as the platform documents it, or by uid.
      billedAs: [uid, status.hosts.host?.split('.')[0]].filter(
        it => it !== undefined,
      ),
    }));
  }

  /** Its endpoints and their states. */
  async states(branch: string): Promise<string[]> {
    return (await this.#endpoints(branch)).map(
      ({ status }) => status.current_state ?? '',
    );
  }

  async #endpoints(branch: string) {
    const { endpoints } = await this.#call({
      action: `list the endpoints of ${branch}`,
      path: `${branch}/endpoints`,
      schema: endpointsReply,
    });
    return endpoints;
  }

  async #createEndpoint(branch: string): Promise<void> {
    try {
      await this.#change(branch, {
        action: `make the endpoint of ${branch}`,
        method: 'POST',
        path: `${branch}/endpoints?endpoint_id=primary`,
        body: { spec: { endpoint_type: READ_WRITE } },
      });
    } catch (error) {
      // The platform was faster.
      if (!isCode(error, 'branch-exists')) throw error;
    }
  }

  /** Begins a change, and waits for its end. */
  async #change(
    target: string,
    request: Omit<ResourceRequest<Operation>, 'schema'>,
  ): Promise<void> {
    let operation = await this.#call({ ...request, schema: operationReply });
    const wait = this.#waitFor(`Databricks to ${request.action}`);
    while (!operation.done) {
      await wait();
      try {
        operation = await this.#call({
          action: `see whether it is done to ${request.action}`,
          path: operation.name,
          schema: operationReply,
        });
      } catch (error) {
        // An operation may be forgotten, and its work be done.
        if (!isMissing(error)) throw error;
        const gone = (await this.find(target)) === undefined;
        if (gone === (request.method === 'DELETE')) return;
        throw error;
      }
    }
    if (!operation.error) return;
    const { error_code: code } = operation.error;
    throw new LakebaseError('operation-failed', {
      problem: `Databricks began to ${request.action}, and failed${code ? ` (${code})` : ''}`,
      remedy: 'Try again; if that lasts, see the status page of Databricks',
    });
  }

  #call<T>(request: ResourceRequest<T>): Promise<T> {
    return retry(
      () =>
        this.#request({
          ...request,
          surface: 'branches',
          path: `${API}/${request.path}`,
          signal: this.#signal,
        }),
      { clock: this.#clock, signal: this.#signal },
    );
  }

  #waitFor(what: string): () => Promise<void> {
    return pausesBetweenLooks({
      clock: this.#clock,
      signal: this.#signal,
      patienceMs: PATIENCE_MS,
      gaveUp: () =>
        new LakebaseError('operation-failed', {
          problem: `Waited ${PATIENCE_MS / 60_000} minutes for ${what}`,
          remedy:
            'It may come yet: the same command goes on where this one ended',
        }),
    });
  }
}

const isCode = (error: unknown, code: string) =>
  error instanceof LakebaseError && error.code === code;

const isMissing = (error: unknown) => isCode(error, 'branch-missing');

const gone = (name: string) =>
  new LakebaseError('operation-failed', {
    problem: `${name} is not there any more`,
    remedy: 'See backstage-lakebase branch list --deleted, and try again',
  });
