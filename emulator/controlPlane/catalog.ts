import { randomBytes, randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import { ApiError } from './apiError';
import {
  branchResource,
  endpointResource,
  projectResource,
  type EndpointSettings,
  type EndpointState,
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
  state: EndpointState;
}

/** The workspace's projects, with their branches and the endpoints of these. */
export class Catalog {
  /** A page of a list has this many entries at most, whatever is asked for. */
  pageSize = 100;
  readonly #defaults: () => EndpointDefaults;
  readonly #projects = new Map([
    [
      PROJECT,
      { uid: '5b1c9d0e-3c4e-4c5e-9a51-0d7b7a2c9f10', defaultBranch: BRANCH },
    ],
  ]);
  readonly #branches = new Map([[BRANCH, { uid: 'br-quiet-harbor-e2k4m6p8' }]]);
  readonly #endpoints = new Map<
    string,
    { uid: string; settings: EndpointSettings }
  >([[ENDPOINT, { uid: 'ep-calm-meadow-a1b2c3d4', settings: {} }]]);

  constructor(defaults: () => EndpointDefaults) {
    this.#defaults = defaults;
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
    options: { uid?: string; primary?: boolean } = {},
  ): { uid: string } {
    this.#checkNew(name, 'branch');
    const { uid = `br-${randomBytes(4).toString('hex')}`, primary = true } =
      options;
    this.#branches.set(name, { uid });
    if (primary) this.addEndpoint(`${name}/endpoints/primary`);
    return { uid };
  }

  /** Its endpoints go with it. */
  removeBranch(name: string): void {
    if (!this.#branches.delete(name)) throw this.notFound(name);
    for (const endpoint of this.#endpoints.keys())
      if (endpoint.startsWith(`${name}/`)) this.#endpoints.delete(endpoint);
  }

  setDefaultBranch(name: string): void {
    if (!this.#branches.has(name)) throw this.notFound(name);
    const project = this.#projects.get(projectOf(name))!;
    project.defaultBranch = name;
  }

  addEndpoint(name: string, settings: EndpointSettings = {}): { uid: string } {
    this.#checkNew(name, 'endpoint');
    const uid = `ep-${randomBytes(4).toString('hex')}`;
    this.#endpoints.set(name, { uid, settings });
    return { uid };
  }

  changeEndpoint(name: string, changes: EndpointSettings): void {
    const endpoint = this.#endpoints.get(name);
    if (!endpoint) throw this.notFound(name);
    endpoint.settings = { ...endpoint.settings, ...changes };
  }

  removeEndpoint(name: string): void {
    if (!this.#endpoints.delete(name)) throw this.notFound(name);
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
    if (project) return projectResource(name, project);

    const branch = this.#branches.get(name);
    if (branch) {
      const { defaultBranch } = this.#projects.get(projectOf(name))!;
      return branchResource(name, branch.uid, defaultBranch === name);
    }

    const endpoint = this.#endpoints.get(name);
    if (!endpoint) throw this.notFound(name);
    const { uid, settings } = endpoint;
    return endpointResource(name, uid, settings, this.#defaults());
  }

  /** All entries of a collection such as `projects/backstage/branches`. */
  list(collection: string): object[] {
    const parent = posix.dirname(collection);
    if (collection !== 'projects' && !this.#has(parent))
      throw this.notFound(parent);
    return [this.#projects, this.#branches, this.#endpoints]
      .flatMap(resources => [...resources.keys()])
      .filter(name => posix.dirname(name) === collection)
      .map(name => this.read(name));
  }

  /** In the API's words: the first part of the name that there is not. */
  notFound(name: string): ApiError {
    const [, project, , branch] = name.split('/');
    if (!this.#projects.has(`projects/${project}`))
      return new ApiError(404, 'project id not found');
    if (!this.#branches.has(`projects/${project}/branches/${branch}`))
      return new ApiError(404, 'branch id not found');
    return new ApiError(404, 'endpoint id not found');
  }

  #has(name: string): boolean {
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

const projectOf = (name: string) => name.split('/').slice(0, 2).join('/');
