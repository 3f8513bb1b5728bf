import {
  createServiceRef,
  RootHealthService,
} from '@backstage/backend-plugin-api';
import { rootHealthServiceFactory } from '@backstage/backend-defaults/rootHealth';

/** Backstage's own health service, which can't be asked for by its own name. */
export const stockRootHealthServiceRef = createServiceRef<RootHealthService>({
  id: 'lakebase.stockRootHealth',
  scope: 'root',
  defaultFactory: service =>
    Promise.resolve({ ...rootHealthServiceFactory, service }),
});

/**
 * Makes readiness depend on whether new connections can be opened. A probe looks
 * at memory only: it sends nothing to the workspace or the endpoint.
 */
export function withCredentialCheck(
  stock: RootHealthService,
  canLogIn: () => boolean,
): RootHealthService {
  return {
    getLiveness: () => stock.getLiveness(),
    async getReadiness() {
      if (canLogIn()) return stock.getReadiness();
      return {
        status: 503,
        payload: {
          message:
            'No Lakebase credential is valid and none can be minted; the log ' +
            'says why',
          status: 'error',
        },
      };
    },
  };
}
