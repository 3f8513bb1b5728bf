import type { z } from 'zod';

export interface ResourceRequest<T> {
  /** As it reads after "Databricks refused to". */
  action: string;
  path: string;
  /** Default: it only reads. */
  method?: 'POST' | 'PATCH' | 'DELETE';
  body?: object;
  /** Which refusals to expect. Default: those of a look-up. */
  surface?: 'api' | 'branches' | 'statements';
  /** Default: what a reply of the API has at most, some hundred times. */
  maxBytes?: number;
  schema: z.ZodType<T>;
  signal?: AbortSignal;
}

/** Reads a resource of the workspace, or changes it. */
export type GetResource = <T>(request: ResourceRequest<T>) => Promise<T>;

/** Where a database listens. */
export interface Location {
  host: string;
  /** Its other hosts, by the platform's names: none of them takes our writes. */
  unfit?: Record<string, string | undefined>;
  /** As the platform calls it, such as ACTIVE or IDLE. */
  state?: string;
  /** Then it does not wake up for connections. */
  disabled?: boolean;
}

/** What credentials are minted for. */
export interface Endpoint {
  /** How its credentials are asked for. */
  credentialRequest(
    ttl: string | undefined,
    signal?: AbortSignal,
  ): Promise<{ path: string; body: object }>;
  /**
   * Looks up where it listens. What was found first is meant for good: another
   * database behind the same name is refused.
   *
   * @throws LakebaseError
   */
  locate(signal?: AbortSignal): Promise<Location>;
}
