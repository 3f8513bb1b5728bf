/** A time by the platform's clock. */
export interface Span {
  from: number;
  until: number;
}

/** What an endpoint was while it was there. Times are the platform's. */
export interface EndpointHistory {
  uid: string;
  branchUid: string;
  projectUid: string;
  /** The size that is always on, from when it had it. */
  sizes: { at: number; cu: number }[];
  removedAt?: number;
  /** When the compute behind it ran; the last span may have no end yet. */
  awake: Span[];
}
