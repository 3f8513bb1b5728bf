import { findKey } from 'lodash';
import { sendRequest } from '../../databricks/workspaceRequest';
import { LakebaseError, LakebaseErrorCode } from '../../errors';
import { Check, Finding, ok } from './check';

/** What the platform, as far as is known, tolerates in a credential's times. */
const CLOCK_TOLERANCE_MS = 30_000;

/** Public: no secret is sent before the server is verified. */
const PROBE_PATH = '/oidc/.well-known/oauth-authorization-server';

/** What the workspace says only to an identity that it knows. */
const KNOWS_THE_IDENTITY: LakebaseErrorCode[] = [
  'endpoint-not-found',
  'permission-denied',
  'request-invalid',
];

/** Whether the workspace answers, over verified TLS, and what time it has. */
export const workspaceCheck: Check = {
  title: 'workspace',
  needs: [],
  async run({ access }) {
    const { clock, endpoint } = access;
    const { value: host, source: hostKey } = endpoint.workspaceHost;
    const sentAt = clock.wall();
    const { serverTimeMs } = await sendRequest({
      host,
      path: PROBE_PATH,
      subject: { action: 'look at it', hostKey },
      clock,
    });
    const halfWay = (sentAt + clock.wall()) / 2;
    // Half a second is what a Date lacks on the average.
    const aheadMs =
      serverTimeMs === undefined ? 0 : halfWay - serverTimeMs - 500;
    const tls = host.startsWith('https:')
      ? 'its certificate is verified'
      : 'without TLS, on this machine';
    return [...ok(`${host} answers, ${tls}`), ...checkClock(aheadMs)];
  },
};

/** A clock that is right is no news. */
function checkClock(aheadMs: number): Finding[] {
  if (Math.abs(aheadMs) < CLOCK_TOLERANCE_MS) return [];
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const side = aheadMs > 0 ? 'ahead of' : 'behind';
  return [
    {
      status: 'warn',
      message: `The clock of this machine is ${seconds} s ${side} the workspace's`,
      remedy:
        'Credentials are renewed on time all the same, but logs, and tokens ' +
        'of Backstage itself, are off. Synchronize the clock',
      statements: ['sudo timedatectl set-ntp true'],
    },
  ];
}

/** Whether the workspace accepts the identity, shown by its first call. */
export const identityCheck: Check = {
  title: 'identity',
  needs: [workspaceCheck.title],
  async run({ access }) {
    await access.locate().catch(error => {
      const known =
        error instanceof LakebaseError &&
        KNOWS_THE_IDENTITY.includes(error.code);
      if (!known) throw error;
    });
    const { method, identityKeys } = access.endpoint.readWorkspace();
    const name = await access.identity();
    const where = access.workspaceId
      ? `, in workspace ${access.workspaceId}`
      : '';
    return ok(`${name} is accepted, ${method} of ${identityKeys}${where}`);
  },
};

/** Whether the endpoint is there, and can serve. */
export const endpointCheck: Check = {
  title: 'endpoint',
  needs: [identityCheck.title],
  async run({ access }) {
    const { value: name, source } = access.endpoint.endpoint;
    const { host, unfit, state, disabled } = await access.locate();
    if (disabled) {
      return [
        {
          status: 'fail',
          message: `${name} is disabled, and refuses every login`,
          remedy: 'Enable it in the Lakebase app',
        },
      ];
    }
    const configured = access.plugin.connection.host;
    const kind = findKey(unfit, one => isSameName(one, configured));
    if (kind) {
      const { sources } = access.endpoint;
      return [
        {
          status: 'fail',
          message: `${configured} is the ${kind} of ${name}, which takes no writes or no OAuth logins`,
          remedy:
            `Remove ${sources.host ?? 'connection.host'}: the host is looked ` +
            'up. Or set it to',
          statements: [host],
        },
      ];
    }
    const woken = state === 'IDLE' ? ' (suspended, a login wakes it)' : '';
    const is = state ? `is ${state}${woken}` : 'is there';
    const finding: Finding = {
      status: 'ok',
      message: `${source} ${is}, listens at ${host}`,
    };
    if (state !== 'DEGRADED') return [finding];
    const remedy = 'Look for its compute in the Lakebase app';
    return [{ ...finding, status: 'warn', remedy }];
  },
};

const isSameName = (one?: string, other?: string) =>
  one !== undefined && one.toLowerCase() === other?.toLowerCase();

/** Whether the identity may mint for the endpoint. */
export const credentialCheck: Check = {
  title: 'credential',
  needs: [endpointCheck.title],
  async run({ access }) {
    const { lifeMs } = await access.credential();
    const minutes = Math.round(lifeMs / 6_000) / 10;
    return ok(`Minted, and lives ${minutes} min`);
  },
};
