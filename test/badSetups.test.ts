import {
  coreServices,
  createBackendPlugin,
} from '@backstage/backend-plugin-api';
import { stringifyError } from '@backstage/errors';
import { mockServices, startTestBackend } from '@backstage/backend-test-utils';
import type { JsonObject } from '@backstage/types';
import type { Emulator } from '../emulator';
import lakebaseModule from '../src';
import {
  keepingRootLogger,
  lakebaseConfig,
  lakebaseTests,
} from './support/lakebase';

const start = lakebaseTests();

/** Ten plugins that want a database, as in any portal. */
const plugins = Array.from({ length: 10 }, (_, index) =>
  createBackendPlugin({
    pluginId: `plugin-${index}`,
    register(env) {
      env.registerInit({
        deps: { database: coreServices.database },
        async init({ database }) {
          await database.getClient();
        },
      });
    },
  }),
);

/** Starts a backend that must not start, and returns all that it said. */
async function startFailure(
  emulator: Emulator,
  overrides: JsonObject,
): Promise<string> {
  const { rootLogger, lines } = keepingRootLogger();
  const failure: unknown = await startTestBackend({
    features: [
      rootLogger,
      mockServices.rootConfig.factory({
        data: lakebaseConfig(emulator, overrides),
      }),
      lakebaseModule,
      ...plugins,
    ],
  }).then(
    async backend => {
      await backend.stop();
      throw new Error('The backend started');
    },
    (error: unknown) => error,
  );
  const said = [
    stringifyError(failure),
    ...lines.map(line => line.message),
  ].join('\n');
  expect(said).not.toContain(emulator.servicePrincipal.clientSecret);
  expect(said).not.toMatch(/eyJ[\w-]{10,}/);
  return said;
}

const schemaMode = { pluginDivisionMode: 'schema' };

describe('a start fails after one attempt, naming the remedy, with', () => {
  it('a wrong client secret', async () => {
    const emulator = await start.emulator();

    const said = await startFailure(emulator, {
      ...schemaMode,
      lakebase: { workspace: { clientSecret: 'wrong-secret' } },
    });

    expect(said).toContain('backend.database.lakebase.workspace.clientSecret');
    expect(said).not.toContain('wrong-secret');
    expect(emulator.controlPlane.count('token')).toBe(1);
    expect(emulator.controlPlane.count('credentials')).toBe(0);
  });

  it('an unknown endpoint', async () => {
    const emulator = await start.emulator();

    const said = await startFailure(emulator, {
      ...schemaMode,
      lakebase: {
        endpoint: 'projects/other/branches/production/endpoints/primary',
      },
    });

    expect(said).toContain('backend.database.lakebase.endpoint');
    expect(said).toContain('CAN USE');
    expect(emulator.controlPlane.count('credentials')).toBe(1);
    expect(emulator.controlPlane.count('endpoint')).toBe(0);
  });

  it('an identity without CAN USE on the project', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', { status: 403 });

    const said = await startFailure(emulator, schemaMode);

    expect(said).toContain('CAN USE');
    expect(said).toContain(emulator.servicePrincipal.clientId);
    expect(emulator.controlPlane.count('credentials')).toBe(1);
  });

  it('an identity without a Postgres role', async () => {
    const emulator = await start.emulator();
    const stranger = await emulator.addServicePrincipal({ role: false });

    const said = await startFailure(emulator, {
      ...schemaMode,
      lakebase: { workspace: { ...stranger } },
    });

    expect(said).toContain(`databricks_create_role('${stranger.clientId}'`);
    expect(emulator.controlPlane.count('credentials')).toBe(1);
    // One login for each plugin that asked.
    expect(emulator.gateway.refusals.length).toBeLessThanOrEqual(
      plugins.length,
    );
  });

  it('a role without the grant to create schemas', async () => {
    const emulator = await start.emulator();
    const user = emulator.servicePrincipal.clientId;
    await emulator.query(
      `revoke create on database databricks_postgres from "${user}"`,
    );

    const said = await startFailure(emulator, schemaMode);

    expect(said).toContain(
      `GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "databricks_postgres" TO "${user}"`,
    );
  });

  it.each(['untrusted', 'wrongName', 'expired', 'off'] as const)(
    'a server whose TLS is %s, to which no credential is sent',
    async tls => {
      const emulator = await start.emulator();
      emulator.gateway.tls = tls;

      const said = await startFailure(emulator, schemaMode);

      expect(said).toContain('backend.database.connection.ssl.ca');
      expect(said).toContain('no credential was sent');
      expect(emulator.gateway.logins).toEqual([]);
      expect(emulator.gateway.refusals).toEqual([]);
    },
  );

  it.each<[string, JsonObject, string]>([
    [
      'a password beside lakebase',
      { connection: { password: 'canary-password' } },
      'backend.database.connection holds a password',
    ],
    [
      'ssl: false to another machine',
      { connection: { ssl: false, host: 'db.example.com' } },
      'backend.database.connection.ssl',
    ],
    [
      'an http workspace host',
      { lakebase: { workspace: { host: 'http://dbc.example.com' } } },
      'backend.database.lakebase.workspace.host',
    ],
    [
      'a misspelt key',
      { lakebase: { workspace: { clientSecrett: 'canary-password' } } },
      'clientSecrett',
    ],
  ])('%s, before anything is sent', async (_, overrides, key) => {
    const emulator = await start.emulator();

    const said = await startFailure(emulator, { ...schemaMode, ...overrides });

    expect(said).toContain(key);
    expect(said).not.toContain('canary-password');
    expect(emulator.controlPlane.calls).toEqual([]);
  });

  it('NODE_TLS_REJECT_UNAUTHORIZED=0, before anything is sent', async () => {
    const emulator = await start.emulator();
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      const said = await startFailure(emulator, schemaMode);

      expect(said).toContain('NODE_TLS_REJECT_UNAUTHORIZED');
      expect(emulator.controlPlane.calls).toEqual([]);
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
  });
});
