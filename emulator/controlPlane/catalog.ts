import { randomBytes, randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import type { ServerClock } from '../serverClock';
import { ApiError } from './apiError';
import type { EndpointHistory, Span } from './endpointHistory';
import {
  branchResource,
  CREATED_AT,
  endpointResource,
  LOGICAL_SIZE_BYTES,
  projectResource,
  type BranchRecord,
  type EndpointSettings,
  type EndpointState,
  parentOf,
} from './resources';

export const PROJECT = 'projects/backstage';
export const BRANCH = `${PROJECT}/branches/production`;
export const ENDPOINT = `${BRANCH}/endpoints/primary`;

const SHAPES = {
  project: /^projects\/[^/]+$/,
  branch: /^projects\/[^/]+\/branches\/[^/]+$/,
  endpoint: /^projects\/[^/]+\/branches\/[^/]+\/endpoints\/[^/]+$/,
};

/** What an endpoint reports that was told nothing else. */
export interface EndpointDefaults {
  host: string;
  stateAt: (host: string) => EndpointState;
  /** When the compute behind this host ran, until now. */
  awakeAt: (host: string) => Span[];
}

interface EndpointRecord {
  name: string;
  uid: string;
  settings: EndpointSettings;
  sizes: EndpointHistory['sizes'];
  removedAt?: number;
  /** Those of its branch and its project, which it may outlive here. */
  branchUid: string;
  projectUid: string;
}

/** The workspace's projects, with their branches and the endpoints of these. */
export class Catalog {
  /** A page of a list has this many entries at most, whatever is asked for. */
  pageSize = 100;
  /** How far back a branch can begin. */
  historyRetentionMs = 7 * 86_400_000;
  /** Whether a new branch gets its endpoint by itself, which is not certain. */
  makesPrimary = true;
  readonly #clock: ServerClock;
  readonly #defaults: () => EndpointDefaults;
  readonly #projects = new Map([
    [
      PROJECT,
      { uid: '5b1c9d0e-3c4e-4c5e-9a51-0d7b7a2c9f10', defaultBranch: BRANCH },
    ],
  ]);
  readonly #branches = new Map<string, BranchRecord>([
    [BRANCH, rootBranch(BRANCH, 'br-quiet-harbor-e2k4m6p8')],
  ]);
  readonly #endpoints = new Map<string, EndpointRecord>();
  readonly #removed: EndpointRecord[] = [];

  constructor(clock: ServerClock, defaults: () => EndpointDefaults) {
    this.#clock = clock;
    this.#defaults = defaults;
    this.#putEndpoint(ENDPOINT, 'ep-calm-meadow-a1b2c3d4', {});
  }

  /** With its branch `production`, as the platform makes it. */
  addProject(name: string): { uid: string } {
    this.#checkNew(name, 'project');
    const uid = randomUUID();
    const defaultBranch = `${name}/branches/production`;
    this.#projects.set(name, { uid, defaultBranch });
    this.addBranch(defaultBranch);
    return { uid };
  }

  /** With its endpoint `primary`, unless told otherwise. */
  addBranch(
    name: string,
    options: Partial<BranchRecord> & { primary?: boolean } = {},
  ): { uid: string } {
    this.#checkNew(name, 'branch');
    const { primary = true, ...given } = options;
    const uid = given.uid ?? `br-${randomBytes(4).toString('hex')}`;
    const createdAt = this.#clock.now();
    this.#branches.set(name, { ...rootBranch(name, uid), createdAt, ...given });
    if (primary) this.addEndpoint(`${name}/endpoints/primary`);
    return { uid };
  }

  /** One that is there; whoever is given it may change it. */
  branch(name: string): BranchRecord {
    const branch = this.#branches.get(name);
    if (!branch || branch.state === 'DELETED') throw this.notFound(name);
    return branch;
  }

  branches(): BranchRecord[] {
    return [...this.#branches.values()].filter(
      ({ state }) => state !== 'DELETED',
    );
  }

  branchesOf(project: string): BranchRecord[] {
    return this.branches().filter(({ name }) => projectOf(name) === project);
  }

  childrenOf(parent: string): BranchRecord[] {
    return this.branches().filter(({ source }) => source === parent);
  }

  defaultBranchOf(project: string): string {
    const found = this.#projects.get(project);
    if (!found) throw this.notFound(project);
    return found.defaultBranch;
  }

  /** It can be brought back, but for its endpoints. */
  deleteBranch(name: string, at: number): void {
    Object.assign(this.branch(name), {
      state: 'DELETED',
      deletedAt: at,
      changedAt: at,
    });
    this.#removeEndpointsOf(name);
  }

  undeleteBranch(name: string): BranchRecord {
    const branch = this.#branches.get(name);
    if (branch?.state !== 'DELETED') throw this.notFound(name);
    branch.state = 'READY';
    branch.deletedAt = undefined;
    branch.expiresAt = undefined;
    branch.changedAt = this.#clock.now();
    return branch;
  }

  /** For good; its endpoints go with it. */
  removeBranch(name: string): void {
    if (!this.#branches.delete(name)) throw this.notFound(name);
    this.#removeEndpointsOf(name);
  }

  #removeEndpointsOf(branch: string): void {
    for (const endpoint of [...this.#endpoints.keys()])
      if (endpoint.startsWith(`${branch}/`)) this.removeEndpoint(endpoint);
  }

  setDefaultBranch(name: string): void {
    if (!this.#branches.has(name)) throw this.notFound(name);
    const project = this.#projects.get(projectOf(name))!;
    project.defaultBranch = name;
  }

  addEndpoint(name: string, settings: EndpointSettings = {}): { uid: string } {
    this.#checkNew(name, 'endpoint');
    const uid = `ep-${randomBytes(4).toString('hex')}`;
    this.#putEndpoint(name, uid, settings);
    return { uid };
  }

  #putEndpoint(name: string, uid: string, settings: EndpointSettings): void {
    const { uid: branchUid } = this.#branches.get(parentOf(name))!;
    const { uid: projectUid } = this.#projects.get(projectOf(name))!;
    const sizes = [{ at: this.#clock.now(), cu: settings.minCu ?? 1 }];
    this.#endpoints.set(name, {
      name,
      uid,
      settings,
      sizes,
      branchUid,
      projectUid,
    });
  }

  changeEndpoint(name: string, changes: EndpointSettings): void {
    const endpoint = this.#endpoints.get(name);
    if (!endpoint) throw this.notFound(name);
    endpoint.settings = { ...endpoint.settings, ...changes };
    const { minCu: cu } = changes;
    if (cu !== undefined) endpoint.sizes.push({ at: this.#clock.now(), cu });
  }

  removeEndpoint(name: string): void {
    const endpoint = this.#endpoints.get(name);
    if (!endpoint) throw this.notFound(name);
    this.#endpoints.delete(name);
    this.#removed.push({ ...endpoint, removedAt: this.#clock.now() });
  }

  /** Every endpoint that there ever was. */
  endpointHistory(): EndpointHistory[] {
    const { host: usualHost, awakeAt } = this.#defaults();
    return [...this.#removed, ...this.#endpoints.values()].map(
      ({ settings, ...endpoint }) => {
        const host = settings.host === undefined ? usualHost : settings.host;
        return { ...endpoint, awake: host === null ? [] : awakeAt(host) };
      },
    );
  }

  /** Every branch that can still be brought back. */
  branchHistory(): (BranchRecord & { projectUid: string; bytes: number })[] {
    return [...this.#branches.values()].map(branch => ({
      ...branch,
      projectUid: this.#projects.get(projectOf(branch.name))!.uid,
      bytes: LOGICAL_SIZE_BYTES,
    }));
  }

  /** Whether all the endpoints at this host are disabled. */
  isDisabled(host: string): boolean {
    const { host: usualHost } = this.#defaults();
    const there = [...this.#endpoints.values()].filter(
      ({ settings }) => (settings.host ?? usualHost) === host,
    );
    return there.length > 0 && there.every(({ settings }) => settings.disabled);
  }

  hasEndpoint(name: string): boolean {
    return this.#endpoints.has(name);
  }

  /** A project, branch or endpoint as the API shows it. */
  read(name: string): object {
    const project = this.#projects.get(name);
    if (project) return projectResource(name, project, this.historyRetentionMs);

    const branch = this.#branches.get(name);
    if (branch) {
      const { defaultBranch } = this.#projects.get(projectOf(name))!;
      return branchResource(branch, defaultBranch === name);
    }

    const endpoint = this.#endpoints.get(name);
    if (!endpoint) throw this.notFound(name);
    const { uid, settings } = endpoint;
    return endpointResource(name, uid, settings, this.#defaults());
  }

  /**
   * All entries of a collection such as `projects/backstage/branches`; those
   * that are deleted only when they are asked for.
   */
  list(collection: string, showDeleted = false): object[] {
    const parent = posix.dirname(collection);
    if (collection !== 'projects' && !this.#has(parent))
      throw this.notFound(parent);
    return [this.#projects, this.#branches, this.#endpoints]
      .flatMap(resources => [...resources.keys()])
      .filter(name => posix.dirname(name) === collection)
      .filter(name => showDeleted || !this.#isDeleted(name))
      .map(name => this.read(name));
  }

  /** In the API's words: the first part of the name that there is not. */
  notFound(name: string): ApiError {
    const [, project, , branch] = name.split('/');
    if (!this.#projects.has(`projects/${project}`))
      return new ApiError(404, 'project id not found');
    const branchName = `projects/${project}/branches/${branch}`;
    if (!this.#branches.has(branchName) || this.#isDeleted(branchName))
      return new ApiError(404, 'branch id not found');
    return new ApiError(404, 'endpoint id not found');
  }

  #isDeleted(name: string): boolean {
    return this.#branches.get(name)?.state === 'DELETED';
  }

  #has(name: string): boolean {
    if (this.#isDeleted(name)) return false;
    return [this.#projects, this.#branches, this.#endpoints].some(resources =>
      resources.has(name),
    );
  }

  #checkNew(name: string, kind: keyof typeof SHAPES): void {
    if (!SHAPES[kind].test(name))
      throw new Error(`'${name}' is not the name of a ${kind}`);
    if (this.#has(name))
      throw new ApiError(409, `${kind} already exists`, 'ALREADY_EXISTS');
    const parent = posix.dirname(posix.dirname(name));
    if (kind !== 'project' && !this.#has(parent)) throw this.notFound(parent);
  }
}

const rootBranch = (name: string, uid: string): BranchRecord => ({
  name,
  uid,
  createdAt: CREATED_AT,
  state: 'READY',
  isProtected: false,
});

const projectOf = (name: string) => name.split('/').slice(0, 2).join('/');
