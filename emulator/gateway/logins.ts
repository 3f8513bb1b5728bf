import type { RefusalKind } from './refusals';

export interface Login {
  user: string;
  database: string;
  applicationName?: string;
  /** The `jti` of the credential. */
  tokenId: string;
  at: number;
}

export interface RefusedLogin {
  /** `upstream`: the real server's own refusal, passed on. */
  kind: RefusalKind | 'upstream';
  code: string;
  user: string;
  at: number;
}
