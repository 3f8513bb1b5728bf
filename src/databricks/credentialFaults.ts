import { LakebaseError } from '../errors';
import type { RefreshFault } from '../tokenRefresher';

/** What a refresher's faults mean for credentials of a Databricks workspace. */
export function explainRefreshFault(
  fault: RefreshFault,
  cause?: Error,
): LakebaseError {
  switch (fault) {
    case 'stopped':
      return new LakebaseError('stopped', {
        problem: 'The Lakebase credential is gone: Backstage is shutting down',
      });
    case 'timed-out':
      return new LakebaseError(
        'connect-timeout',
        {
          problem:
            'No usable Lakebase credential could be minted in time ' +
            '(backend.database.lakebase.connectTimeout)',
        },
        { cause },
      );
    case 'refused-again':
      return new LakebaseError('workspace-reply-invalid', {
        problem:
          'The Databricks workspace answered with the very credential that ' +
          'was refused',
      });
    case 'expired':
      return new LakebaseError('workspace-reply-invalid', {
        problem: 'The Databricks workspace answered with an expired credential',
      });
  }
}
