import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import { ApiError } from './apiError';

/** A database instance, as Lakebase Provisioned had them. */
export class Instance {
  readonly name: string;
  readonly #uid = randomUUID();
  readonly #host: () => string;

  constructor(name: string, host: () => string) {
    this.name = name;
    this.#host = host;
  }

  /** What the API shows at `instances/{name}`. */
  read(path: string): object {
    this.checkName(posix.basename(path));
    const host = this.#host();
    return {
      name: this.name,
      uid: this.#uid,
      state: 'AVAILABLE',
      pg_version: 'PG_VERSION_16',
      capacity: 'CU_1',
      read_write_dns: host,
      read_only_dns: host,
    };
  }

  checkName(name: string): void {
    if (name !== this.name)
      throw new ApiError(404, `Database instance '${name}' not found`);
  }
}
