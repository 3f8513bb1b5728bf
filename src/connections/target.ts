import type { Purpose } from '../time/attempts';

/** Where a connection goes, as whom and to what, complete: messages name it. */
export interface ConnectionTarget {
  /** May change, when the endpoint has moved. */
  host: string;
  port: number;
  user: string;
  database: string;
  role?: string;
  /**
   * Looks up where the endpoint listens now; absent where the configuration
   * says the host.
   *
   * @throws LakebaseError when the database is not there any more.
   */
  relocate?(signal: AbortSignal): Promise<void>;
}

/** Read when a message needs it: by then the endpoint may have moved. */
export const describeConnection =
  (target: ConnectionTarget): Purpose =>
  () =>
    `connection to ${target.host}:${target.port}`;
