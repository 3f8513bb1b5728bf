import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { LakebaseError } from '../errors';
import type { Endpoint, GetResource, Location } from './endpoint';
import { hostName, shownName } from './workspaceReply';

const API = '/api/2.0/database';

const instanceReply = z.object({
  uid: shownName.optional(),
  state: shownName.optional().catch(undefined),
  read_write_dns: hostName,
});

export interface InstanceOptions {
  name: string;
  /** Which setting the name came from, for messages. */
  source: string;
  get: GetResource;
}

/** A database instance of Lakebase Provisioned, which Autoscaling replaces. */
export class ProvisionedInstance implements Endpoint {
  readonly #options: InstanceOptions;
  #uid?: string;

  constructor(options: InstanceOptions) {
    this.#options = options;
  }

  /** This API has no say in how long a credential lives. */
  credentialRequest() {
    return Promise.resolve({
      path: `${API}/credentials`,
      body: {
        instance_names: [this.#options.name],
        request_id: randomUUID(),
      },
    });
  }

  async locate(signal?: AbortSignal): Promise<Location> {
    const { name, source, get } = this.#options;
    const { uid, state, read_write_dns } = await get({
      action: 'look up the instance',
      path: `${API}/instances/${encodeURIComponent(name)}`,
      schema: instanceReply,
      signal,
    });
    this.#uid ??= uid;
    if (uid !== this.#uid) {
      throw new LakebaseError('branch-changed', {
        problem:
          `${source} (${name}) means another instance now than when this ` +
          'process started, so no new connection is opened',
        remedy: 'Restart to follow',
      });
    }
    return { host: read_write_dns, state };
  }
}
