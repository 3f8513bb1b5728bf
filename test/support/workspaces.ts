import type { JsonObject } from '@backstage/types';
import type { Emulator, ServicePrincipal } from '../../emulator';
import {
  Workspace,
  type WorkspaceOptions,
} from '../../src/databricks/workspace';
import { LakebaseError } from '../../src/errors';
import { systemClock } from '../../src/time/clock';
import { type Env, readBlock } from './appConfig';
import { everythingIn } from './everythingIn';

export const ENDPOINT =
  'projects/backstage/branches/production/endpoints/primary';
export const SECRET_KEY = 'backend.database.lakebase.workspace.clientSecret';
export const HOST_KEY = 'backend.database.lakebase.workspace.host';

/** A client as the platform names it, with a secret that is easy to find again. */
export const CLIENT: ServicePrincipal = {
  clientId: '7f3b9c1e-5d2a-4c8e-9b6f-0a1d2e3f4a5b',
  clientSecret: 'dose0canary0secret0canary0secret0',
};

type Settings = WorkspaceOptions['settings'];
type Options = Partial<Omit<WorkspaceOptions, 'settings'> & Settings>;

/** A workspace with these settings. */
export function createWorkspaceFrom(
  readWorkspace: Settings['readWorkspace'],
  { external, clock = systemClock, ...settings }: Options = {},
): Workspace {
  const source = 'backend.database.lakebase.endpoint';
  return new Workspace({
    settings: {
      endpoint: { value: ENDPOINT, source, kind: 'endpoint' },
      workspaceHost: { value: readWorkspace().host },
      readWorkspace,
      ...settings,
    },
    external,
    clock,
  });
}

/** The workspace at `host`, as this client. */
export const createWorkspaceAt = (
  host: string,
  client: ServicePrincipal = CLIENT,
  options?: Options,
): Workspace =>
  createWorkspaceFrom(
    () => ({
      method: 'oauth-m2m',
      host,
      hostKey: HOST_KEY,
      ...client,
      identityKeys: `backend.database.lakebase.workspace.clientId and ${SECRET_KEY}`,
    }),
    options,
  );

/** The workspace of the emulator, as the block and the environment say. */
export function createWorkspaceBy(
  { controlPlane }: Emulator,
  workspace: JsonObject,
  env: Env = {},
  options?: Options,
): Workspace {
  const block = { host: controlPlane.url, ...workspace };
  const lakebase = { endpoint: ENDPOINT, workspace: block };
  return createWorkspaceFrom(readBlock(lakebase, env).readWorkspace, options);
}

/** The workspace of the emulator, as its service principal. */
export const createWorkspace = (
  { controlPlane, servicePrincipal }: Emulator,
  options?: Options,
) => createWorkspaceAt(controlPlane.url, servicePrincipal, options);

/** All forms in which the secret of a client goes over the wire. */
export function secretsOf({ clientId, clientSecret }: ServicePrincipal) {
  const pair = `${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`;
  return [clientSecret, Buffer.from(pair).toString('base64')];
}

/** What a call failed with, in which none of the secrets may be found. */
export async function catchFailure(
  call: Promise<unknown>,
  secrets: string[],
): Promise<LakebaseError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LakebaseError);
  const told = everythingIn(error);
  expect(secrets.filter(secret => told.includes(secret))).toEqual([]);
  return error as LakebaseError;
}

type FakeTimersConfig = NonNullable<Parameters<typeof jest.useFakeTimers>[0]>;

/**
 * Only the wall clock (from a whole second on, which is all that a Date header
 * tells) or only the timers of our own code stand still; sockets go on.
 */
export function fakeOnly(what: 'Date' | 'timeouts'): void {
  const timeouts = ['setTimeout', 'clearTimeout'] as const;
  const others = [
    'hrtime',
    'nextTick',
    'performance',
    'queueMicrotask',
    'setImmediate',
    'clearImmediate',
    'setInterval',
    'clearInterval',
  ] as const;
  const notToFake = what === 'Date' ? timeouts : (['Date'] as const);
  jest.useFakeTimers({
    now: Math.ceil(Date.now() / 1000) * 1000,
    doNotFake: [...others, ...notToFake],
  } satisfies FakeTimersConfig);
}
