import type { LakebaseErrorCode } from '../errors';

/** What a refusal is about, to name the settings and grants behind it. */
export interface RequestSubject {
  /** Who answered. */
  party: 'Databricks' | 'GitHub';
  /** What was attempted, as it reads after "Databricks refused to". */
  action: string;
  /** Who asked. */
  who: string;
  /** What to do about an identity that is not accepted, as a sentence. */
  identityRemedy: string;
  endpoint: string;
  endpointKind: 'endpoint' | 'instance';
  /** Where the endpoint came from. */
  endpointKey: string;
  workspaceHost: string;
  /** Where the host that was called came from. */
  hostKey: string;
  /** Which of its workspaces the call named. */
  workspaceId?: string;
  /**
   * The URLs at which tokens are got, the look-up of oneself, the API proper,
   * the part of it that makes and changes branches, and SQL warehouses.
   */
  surface: 'client' | 'exchange' | 'self' | 'api' | 'branches' | 'statements';
}

/** Which refusals are one and the same to us, and what to do about them. */
export interface RefusalRule {
  code: LakebaseErrorCode;
  /** On these surfaces only. */
  surfaces?: RequestSubject['surface'][];
  /** Decides first: some refusals differ in their body only. */
  text?: RegExp;
  /** The API's own codes come next, the HTTP status only without one. */
  errorCodes: string[];
  statuses: number[];
  remedy(subject: RequestSubject): string;
}
