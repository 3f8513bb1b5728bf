import { z } from 'zod';
import { LakebaseError } from '../errors';
import type { Endpoint, GetResource, Location } from './endpoint';
import type { EndpointName } from './endpointName';
import { hostName, shownName } from './workspaceReply';

const API = '/api/2.0/postgres';

const READ_WRITE = 'ENDPOINT_TYPE_READ_WRITE';

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

const endless = (branch: string) =>
  new LakebaseError('workspace-reply-invalid', {
    problem: `The list of the endpoints of ${branch} has no end`,
    remedy: 'Check that no proxy answers in place of the workspace',
  });

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
    const found: string[] = [];
    let page: string | undefined;
    for (let pages = 0; pages === 0 || page; pages++) {
      if (pages === MAX_PAGES) throw endless(branch);
      const query = page ? `?page_token=${encodeURIComponent(page)}` : '';
      const { endpoints, next_page_token } = await this.#get(
        'list the endpoints of the branch',
        `${branch}/endpoints${query}`,
        endpointsReply,
        signal,
      );
      for (const { name, status } of endpoints) {
        if (status.endpoint_type === READ_WRITE) found.push(name);
      }
      page = next_page_token;
    }

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
