import { z } from 'zod';
import { LakebaseError } from '../errors';
import type { Endpoint, GetResource, Location } from './endpoint';
import type { EndpointName } from './endpointName';
import { readPages } from './pages';
import { hostName, shownName } from './workspaceReply';

const API = '/api/2.0/postgres';

export const READ_WRITE = 'ENDPOINT_TYPE_READ_WRITE';

const projectReply = z.object({
  status: z.object({ default_branch: shownName }),
});

const branchReply = z.object({ uid: shownName.optional() });

const endpointReply = z.object({
  status: z.object({
    endpoint_type: z.string().optional(),
    current_state: shownName.optional().catch(undefined),
    disabled: z.boolean().optional(),
    hosts: z.object({
      host: hostName,
      read_only_host: hostName.optional().catch(undefined),
      read_write_pooled_host: hostName.optional().catch(undefined),
      read_only_pooled_host: hostName.optional().catch(undefined),
    }),
  }),
});

const endpointsReply = z.object({
  endpoints: z
    .array(
      z.object({
        name: shownName,
        status: z.object({ endpoint_type: z.string().optional() }),
      }),
    )
    .default([]),
  next_page_token: z.string().optional(),
});

/** A branch has one read-write endpoint, and a few read replicas. */
const MAX_PAGES = 20;

export interface AutoscalingEndpointOptions {
  name: EndpointName;
  /** Which setting the name came from, for messages. */
  source: string;
  get: GetResource;
}

/** A compute of Lakebase Autoscaling: projects/P/branches/B/endpoints/E. */
export class AutoscalingEndpoint implements Endpoint {
  readonly #options: AutoscalingEndpointOptions;
  #path?: string;
  #branchUid?: string;

  constructor(options: AutoscalingEndpointOptions) {
    this.#options = options;
    const { project, branch, endpoint } = options.name;
    if (branch && endpoint) {
      this.#path = `projects/${project}/branches/${branch}/endpoints/${endpoint}`;
    }
  }

  async credentialRequest(ttl: string | undefined, signal?: AbortSignal) {
    if (!this.#path) await this.locate(signal);
    return {
      path: `${API}/credentials`,
      body: { endpoint: this.#path, ...(ttl && { ttl }) },
    };
  }

  async locate(signal?: AbortSignal): Promise<Location> {
    const branch = await this.#branch(signal);
    const { endpoint } = this.#options.name;
    const path = endpoint
      ? `${branch}/endpoints/${endpoint}`
      : await this.#findReadWrite(branch, signal);
    const { status } = await this.#get(
      'look up the endpoint',
      path,
      endpointReply,
      signal,
    );
    await this.#pin(branch, signal);
    this.#path = path;
    const { hosts, current_state: state, disabled } = status;
    const { host, ...unfit } = hosts;
    return { host, unfit, state, disabled };
  }

  async #branch(signal?: AbortSignal): Promise<string> {
    const { project, branch } = this.#options.name;
    if (branch) return `projects/${project}/branches/${branch}`;
    const { status } = await this.#get(
      'look up the default branch of the project',
      `projects/${project}`,
      projectReply,
      signal,
    );
    return status.default_branch;
  }

  /** One process must never write to two databases. */
  async #pin(branch: string, signal?: AbortSignal): Promise<void> {
    const { uid } = await this.#get(
      'look up the branch',
      branch,
      branchReply,
      signal,
    );
    this.#branchUid ??= uid;
    if (uid === undefined || uid === this.#branchUid) return;
    throw new LakebaseError('branch-changed', {
      problem:
        `${this.#options.source} means another branch now (${branch}, ${uid}) ` +
        `than when this process started (${this.#branchUid}), so no new ` +
        'connection is opened',
      remedy: 'Restart to follow',
    });
  }

  async #findReadWrite(branch: string, signal?: AbortSignal): Promise<string> {
    const endpoints = await readPages(
      `the endpoints of ${branch}`,
      MAX_PAGES,
      async page => {
        const query = page ? `?page_token=${encodeURIComponent(page)}` : '';
        const reply = await this.#get(
          'list the endpoints of the branch',
          `${branch}/endpoints${query}`,
          endpointsReply,
          signal,
        );
        return { entries: reply.endpoints, next: reply.next_page_token };
      },
    );
    const found = endpoints
      .filter(({ status }) => status.endpoint_type === READ_WRITE)
      .map(({ name }) => name);

    if (found.length === 1) return found[0];
    const { source } = this.#options;
    throw new LakebaseError(
      'endpoint-not-found',
      found.length === 0
        ? {
            problem: `${branch} has no read-write endpoint`,
            remedy: `Create one, or name another branch in ${source}`,
          }
        : {
            problem: `${branch} has several read-write endpoints: ${found.join(', ')}`,
            remedy: `Name one of them in ${source}`,
          },
    );
  }

  #get<T>(
    action: string,
    path: string,
    schema: z.ZodType<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#options.get({
      action,
      path: `${API}/${path}`,
      schema,
      signal,
    });
  }
}
