import {
  coreServices,
  createBackendFeatureLoader,
  createBackendPlugin,
  createServiceFactory,
} from '@backstage/backend-plugin-api';
import { stringifyError } from '@backstage/errors';
import { mockServices, startTestBackend } from '@backstage/backend-test-utils';
import type { JsonObject } from '@backstage/types';
import type { Emulator } from '../../emulator';
import lakebaseModule, {
  type LakebaseWorkspaceTokenService,
  lakebaseWorkspaceTokenServiceRef,
} from '../../src';
import { everythingIn } from '../support/everythingIn';
import {
  keepingRootLogger,
  lakebaseConfig,
  lakebaseTests,
} from '../support/lakebase';

const USER = 'jane@example.com';

const start = lakebaseTests();

/** A plugin that notes as whom it is logged in. */
function userOf(pluginId: string) {
  const seen: { user?: string } = {};
  const plugin = createBackendPlugin({
    pluginId,
    register(env) {
      env.registerInit({
        deps: { database: coreServices.database },
        async init({ database }) {
          const knex = await database.getClient();
          const { rows } = await knex.raw<{ rows: { user: string }[] }>(
            'select current_user as user',
          );
          seen.user = rows[0].user;
        },
      });
    },
  });
  return { plugin, seen };
}

const providerOf = (getToken: LakebaseWorkspaceTokenService['getToken']) =>
  createServiceFactory({
    service: lakebaseWorkspaceTokenServiceRef,
    deps: {},
    factory: () => ({ getToken }),
  });

/** A configuration for the emulator with another identity. */
function configured(
  emulator: Emulator,
  workspace: JsonObject,
  connection: JsonObject = {},
) {
  const config = lakebaseConfig(emulator, {
    pluginDivisionMode: 'schema',
    connection: { database: 'databricks_postgres', ...connection },
  }) as { backend: { database: { lakebase: JsonObject } } };
  config.backend.database.lakebase.workspace = {
    host: emulator.controlPlane.url,
    ...workspace,
  };
  return mockServices.rootConfig.factory({ data: config });
}

async function emulatorWithUser() {
  const emulator = await start.emulator();
  await emulator.addUser({ email: USER });
  return emulator;
}

async function run(
  emulator: Emulator,
  rootConfig: ReturnType<typeof configured>,
  ...more: Parameters<typeof startTestBackend>[0]['features'] & object
) {
  const { rootLogger, lines } = keepingRootLogger();
  const plugins = ['catalog', 'search'].map(userOf);
  const backend = await startTestBackend({
    features: [
      rootLogger,
      rootConfig,
      lakebaseModule,
      ...more,
      ...plugins.map(({ plugin }) => plugin),
    ],
  });
  await backend.stop();
  await emulator.gateway.drained();
  return {
    users: plugins.map(({ seen }) => seen.user),
    told: lines.map(({ message }) => message).join('\n'),
  };
}

describe('the login name', () => {
  it('is looked up once for a token that does not tell it', async () => {
    const emulator = await emulatorWithUser();
    const token = emulator.controlPlane.createPersonalAccessToken(USER);

    const { users, told } = await run(
      emulator,
      configured(emulator, { token }),
    );

    expect(users).toEqual([USER, USER]);
    expect(emulator.controlPlane.count('me')).toBe(1);
    expect(told).toContain(`user ${USER} (looked up)`);
    expect(told).toContain(
      'identity pat (backend.database.lakebase.workspace.token)',
    );
    expect(told).not.toContain(token);
  });

  it('is not looked up when it is configured', async () => {
    const emulator = await emulatorWithUser();
    const token = emulator.controlPlane.createPersonalAccessToken(USER);

    const { users, told } = await run(
      emulator,
      configured(emulator, { token }, { user: USER }),
    );

    expect(users).toEqual([USER, USER]);
    expect(emulator.controlPlane.count('me')).toBe(0);
    expect(told).toContain(`user ${USER} (backend.database.connection.user)`);
  });

  it('is not looked up for a service principal', async () => {
    const emulator = await start.emulator();
    const { clientId } = emulator.servicePrincipal;

    const { users } = await run(
      emulator,
      configured(emulator, { ...emulator.servicePrincipal }),
    );

    expect(users).toEqual([clientId, clientId]);
    expect(emulator.controlPlane.count('me')).toBe(0);
  });

  it('is looked up again while the workspace is busy', async () => {
    const emulator = await emulatorWithUser();
    const token = emulator.controlPlane.createPersonalAccessToken(USER);
    emulator.controlPlane.answer('me', { status: 503 }, { times: 2 });

    const { users } = await run(emulator, configured(emulator, { token }));

    expect(users).toEqual([USER, USER]);
    expect(emulator.controlPlane.count('me')).toBe(3);
  });

  it('leads to the setting that makes the look-up unnecessary', async () => {
    const emulator = await emulatorWithUser();
    const token = emulator.controlPlane.createPersonalAccessToken(USER);
    emulator.controlPlane.answer('me', { status: 403 });

    const failure: unknown = await run(
      emulator,
      configured(emulator, { token }),
    ).catch((error: unknown) => error);

    expect(stringifyError(failure)).toContain(
      'backend.database.connection.user',
    );
    expect(everythingIn(failure)).not.toContain(token);
  });
});

describe('authType: external', () => {
  const external = { authType: 'external' };

  const tokens = (emulator: Emulator) =>
    jest.fn(() =>
      Promise.resolve({
        token: emulator.controlPlane.issueWorkspaceToken(USER),
        expiresAt: new Date(Date.now() + 3_600_000),
      }),
    );

  it('takes its tokens from a service of the backend', async () => {
    const emulator = await emulatorWithUser();
    const getToken = tokens(emulator);

    const { users, told } = await run(
      emulator,
      configured(emulator, external),
      providerOf(getToken),
    );

    expect(users).toEqual([USER, USER]);
    expect(getToken).toHaveBeenCalledTimes(1);
    expect(emulator.controlPlane.count('token')).toBe(0);
    expect(told).toContain('identity external');
  });

  it('takes them from one that a later feature loader provides', async () => {
    const emulator = await emulatorWithUser();
    const provider = providerOf(tokens(emulator));
    const loader = createBackendFeatureLoader({
      deps: { rootConfig: coreServices.rootConfig },
      loader: () => [provider],
    });

    const { users } = await run(
      emulator,
      configured(emulator, external),
      loader,
    );

    expect(users).toEqual([USER, USER]);
  });

  it('keeps the backend from starting without such a service', async () => {
    const emulator = await emulatorWithUser();

    const failure: unknown = await run(
      emulator,
      configured(emulator, external),
    ).catch((error: unknown) => error);

    const told = stringifyError(failure);
    expect(told).toContain('lakebaseWorkspaceTokenServiceRef');
    expect(told).toContain('backend.database.lakebase.workspace.authType');
    expect(emulator.controlPlane.calls).toEqual([]);
  });
});
