import { InputError } from '@backstage/errors';
import { LakebaseError, LakebaseErrorCode, TLS_FAULT } from '../../errors';
import { attempt } from '../../time/attempt';
import type { Clock } from '../../time/clock';
import { Check, Finding, ok } from './check';

/** One attempt in all, as long as one of the backend's own. */
const PROBE_TIMEOUT_MS = 10_000;

/** What the platform, as far as is known, tolerates in a credential's times. */
const CLOCK_TOLERANCE_MS = 30_000;

/** Public, so that nothing secret is sent before the server is verified. */
const PROBE_PATH = '/oidc/.well-known/oauth-authorization-server';

/** What the workspace says only to an identity that it knows. */
const KNOWS_THE_IDENTITY: LakebaseErrorCode[] = [
  'endpoint-not-found',
  'permission-denied',
  'request-invalid',
];

interface Probe {
  status: number;
  /** How far this machine's clock is ahead of the workspace's. */
  clockAheadMs?: number;
}

const probe = (host: string, hostKey: string, clock: Clock): Promise<Probe> =>
  attempt(
    async signal => {
      const sentAt = clock.wall();
      const url = host + PROBE_PATH;
      const response = await fetch(url, { redirect: 'manual', signal });
      const halfWay = (sentAt + clock.wall()) / 2;
      await response.body?.cancel();
      const date = Date.parse(response.headers.get('date') ?? '');
      return {
        status: response.status,
        // Half a second is what a Date lacks on the average.
        clockAheadMs: Number.isNaN(date) ? undefined : halfWay - date - 500,
      };
    },
    { clock, timeoutMs: PROBE_TIMEOUT_MS },
    (error, cut) => {
      const { cause, message } = error as Error & { cause?: { code?: string } };
      const reason = cut
        ? `no answer within ${PROBE_TIMEOUT_MS / 1000} s`
        : (cause?.code ?? message);
      return new InputError(unreachable(host, hostKey, reason));
    },
  );

const unreachable = (host: string, hostKey: string, code: string) =>
  TLS_FAULT.test(code)
    ? `The TLS certificate of ${host} could not be verified (${code}). With a ` +
      'private CA or an inspecting proxy, start the backend and this command ' +
      `with NODE_EXTRA_CA_CERTS=/path/ca.pem; otherwise check ${hostKey}`
    : `${host} could not be reached (${code}). Check ${hostKey}, name ` +
      'resolution, and the outbound proxy, if there is one';

/** Whether the workspace answers, over verified TLS, and what time it has. */
export const workspaceCheck: Check = {
  title: 'workspace',
  needs: [],
  async run({ access }) {
    const { value: host, source } = access.use.config.workspaceHost;
    const { status, clockAheadMs } = await probe(host, source, access.clock);
    if (status >= 300 && status < 400) {
      throw new InputError(
        `${host} answers with a redirect (HTTP ${status}), which is not ` +
          `followed. Check ${source}, and whether the workspace is reachable ` +
          'through private link only',
      );
    }
    const tls = host.startsWith('https:')
      ? 'its certificate is verified'
      : 'without TLS, on this machine';
    return [...ok(`${host} answers, ${tls}`), ...clockFindings(clockAheadMs)];
  },
};

/** A clock that is right is no news. */
function clockFindings(aheadMs = 0): Finding[] {
  if (Math.abs(aheadMs) < CLOCK_TOLERANCE_MS) return [];
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const side = aheadMs > 0 ? 'ahead of' : 'behind';
  return [
    {
      status: 'warn',
      message: `The clock of this machine is ${seconds} s ${side} the workspace's`,
      cure:
        'Credentials are renewed on time all the same, but logs, and tokens ' +
        'of Backstage itself, are off. Synchronize the clock:',
      paste: ['sudo timedatectl set-ntp true'],
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
    const { method, identityKeys } = access.use.config.readWorkspace();
    const name = await access.identity();
    return ok(`${name} is accepted, ${method} of ${identityKeys}`);
  },
};

/** Whether the endpoint is there, and can serve. */
export const endpointCheck: Check = {
  title: 'endpoint',
  needs: [identityCheck.title],
  async run({ access }) {
    const { value: name, source } = access.use.config.endpoint;
    const { host, state, disabled } = await access.locate();
    if (disabled) {
      return [
        {
          status: 'fail',
          message: `${name} is disabled, and refuses every login`,
          cure: 'Enable it in the Lakebase app',
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
    const cure = 'Look for its compute in the Lakebase app';
    return [{ ...finding, status: 'warn', cure }];
  },
};

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
