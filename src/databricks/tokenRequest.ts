import type { Clock } from '../time/clock';
import type {
  LakebaseWorkspaceTokenService,
  WorkspaceSettings,
} from './identity';
import type { RequestSubject } from './refusalRule';

/** What it takes to get a token for the workspace's API. */
export interface TokenRequest {
  settings: WorkspaceSettings;
  /** Of requests that have to be made, but for what each attempts. */
  subject: Omit<RequestSubject, 'action' | 'surface'>;
  /** Where tokens come from with `external`. */
  external?: LakebaseWorkspaceTokenService;
  clock: Clock;
  signal: AbortSignal;
}
