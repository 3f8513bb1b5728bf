import { LakebaseError, type LakebaseErrorCode } from '../errors';
import type { RefreshFault } from '../tokenRefresher';

const FAULTS: Record<RefreshFault, [LakebaseErrorCode, problem: string]> = {
  stopped: [
    'stopped',
    'The Lakebase credential is gone: Backstage is shutting down',
  ],
  'timed-out': [
    'connect-timeout',
    'No usable Lakebase credential could be minted in time ' +
      '(backend.database.lakebase.connectTimeout)',
  ],
  'refused-again': [
    'workspace-reply-invalid',
    'The Databricks workspace answered with the very credential that was refused',
  ],
  expired: [
    'workspace-reply-invalid',
    'The Databricks workspace answered with an expired credential',
  ],
};

/** What a refresher's faults mean for credentials of a Databricks workspace. */
export function explainRefreshFault(
  fault: RefreshFault,
  cause?: Error,
): LakebaseError {
  const [code, problem] = FAULTS[fault];
  return new LakebaseError(code, { problem }, { cause });
}
