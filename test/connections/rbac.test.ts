import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import rbac from '@backstage-community/plugin-rbac-backend';
import { authServiceFactory } from '@backstage/backend-defaults/auth';
import { httpAuthServiceFactory } from '@backstage/backend-defaults/httpAuth';
import { permissionsServiceFactory } from '@backstage/backend-defaults/permissions';
import { userInfoServiceFactory } from '@backstage/backend-defaults/userInfo';
import { mockServices, startTestBackend } from '@backstage/backend-test-utils';
import auth from '@backstage/plugin-auth-backend';
import guest from '@backstage/plugin-auth-backend-module-guest-provider';
import catalog from '@backstage/plugin-catalog-backend';
import permission from '@backstage/plugin-permission-backend';
import type { JsonObject } from '@backstage/types';
import { merge } from 'lodash';
import { databaseConfig, type Emulator } from '../../emulator';
import lakebaseModule from '../../src';
import { keepingRootLogger, lakebaseTests } from '../support/lakebase';

jest.setTimeout(90_000);

const start = lakebaseTests();
const GUEST = 'user:development/guest';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'rbac-'));
});

afterEach(() => rm(directory, { recursive: true }));

/** Where plugins dial that connect by themselves, and this module does not. */
function withLocalProxy(emulator: Emulator, database: JsonObject = {}) {
  const { connection, lakebase, ...rest } = databaseConfig(emulator);
  return merge(
    {
      ...rest,
      connection: { host: path.join(directory, 'socket'), port: 5432 },
      lakebase: { ...lakebase, localProxy: true, connection },
      // The stock service does not close its pools, which idle connections
      // would keep alive.
      knexConfig: { pool: { min: 0, max: 5, idleTimeoutMillis: 500 } },
    },
    database,
  );
}

/** A backend in which guests administrate RBAC. */
async function startBackend(
  database: JsonObject,
  { rootLogger } = keepingRootLogger(),
) {
  const backend = await startTestBackend({
    features: [
      rootLogger,
      mockServices.rootConfig.factory({
        data: {
          app: { baseUrl: 'http://localhost:3000' },
          auth: {
            providers: { guest: { dangerouslyAllowOutsideDevelopment: true } },
          },
          permission: {
            enabled: true,
            rbac: { admin: { users: [{ name: GUEST }] } },
          },
          backend: { database },
        },
      }),
      lakebaseModule,
      authServiceFactory,
      httpAuthServiceFactory,
      permissionsServiceFactory,
      userInfoServiceFactory,
      auth,
      guest,
      permission,
      rbac,
      catalog,
    ],
  });
  const url = `http://127.0.0.1:${backend.server.port()}/api`;
  const response = await fetch(`${url}/auth/guest/refresh`);
  const { backstageIdentity } = (await response.json()) as {
    backstageIdentity: { token: string };
  };

  /** As the guest, who may do this. */
  const request = async <T>(
    route: string,
    body?: JsonObject | JsonObject[],
  ) => {
    const response = await fetch(`${url}/permission/${route}`, {
      method: body ? 'POST' : 'GET',
      body: JSON.stringify(body),
      headers: {
        authorization: `Bearer ${backstageIdentity.token}`,
        'content-type': 'application/json',
      },
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${route}: ${answer}`);
    return (answer && JSON.parse(answer)) as T;
  };

  return {
    stop: () => backend.stop(),
    request,
    allow: async (name: string, action: string) => {
      const role = `role:default/${name}`;
      await request('roles', { name: role, memberReferences: [GUEST] });
      await request('policies', [
        {
          entityReference: role,
          permission: `catalog.entity.${action}`,
          policy: action,
          effect: 'allow',
        },
      ]);
    },
    isAllowed: async (action: string) => {
      const name = `catalog.entity.${action}`;
      const { items } = await request<{ items: { result: string }[] }>(
        'authorize',
        {
          items: [
            {
              id: '1',
              permission: { type: 'basic', name, attributes: { action } },
            },
          ],
        },
      );
      return items[0].result;
    },
  };
}

const schemaMode = {
  pluginDivisionMode: 'schema',
  connection: { database: 'databricks_postgres' },
};

const OWNER = 'backstage_owner';

describe.each([
  [
    'a database of a shared owner',
    { role: OWNER },
    'backstage_plugin_permission',
    OWNER,
  ],
  ['a schema', schemaMode, 'databricks_postgres', undefined],
])(
  'RBAC with %s for each plugin',
  (_, mode: JsonObject, rbacDatabase, owner) => {
    it('decides by its policies, across rotations and a restart', async () => {
      const emulator = await start.emulator({ credentialLifeMs: 12_000 });
      const { clientId } = emulator.servicePrincipal;
      await emulator.createRole(OWNER, { attributes: 'CREATEDB' });
      await emulator.query(`grant ${OWNER} to "${clientId}"`);
      const database = withLocalProxy(emulator, mode);
      const first = await startBackend(database);

      await expect(first.isAllowed('create')).resolves.toBe('DENY');
      await first.allow('creators', 'create');
      await expect(first.isAllowed('create')).resolves.toBe('ALLOW');
      await expect(ownersOfTables(emulator, rbacDatabase)).resolves.toEqual([
        { tableowner: owner ?? clientId },
      ]);

      const before = loginsOfTypeOrm(emulator, rbacDatabase);
      await emulator.controlPlane.once('credentials');
      await emulator.gateway.dropConnections();
      // The ends of its connections reach RBAC before a request does.
      await first.request('health');
      await first.allow('deleters', 'delete');
      await expect(first.isAllowed('delete')).resolves.toBe('ALLOW');
      const later = loginsOfTypeOrm(emulator, rbacDatabase);
      expect(later.length).toBeGreaterThan(before.length);
      expect(before).not.toContain(later.at(-1));
      await first.stop();
      await emulator.gateway.drained();

      const second = await startBackend(database);
      await expect(second.isAllowed('create')).resolves.toBe('ALLOW');
      await expect(second.isAllowed('delete')).resolves.toBe('ALLOW');
      await expect(second.isAllowed('update')).resolves.toBe('DENY');
      // A database that was still to be made is all that was ever missing; a
      // login may have been under way when the connections were dropped above.
      const refusals = emulator.gateway.refusals.map(({ code }) => code);
      const expected = ['3D000', '57P01'];
      expect(refusals.filter(code => !expected.includes(code))).toEqual([]);
      await second.stop();
      await emulator.gateway.drained();
    });
  },
);

describe('RBAC without the local proxy', () => {
  it('fails, after a warning that tells the remedy', async () => {
    const emulator = await start.emulator();
    const logging = keepingRootLogger();

    // Nobody stops a backend that did not start.
    const knexConfig = { pool: { idleTimeoutMillis: 500 } };

    await expect(
      startBackend({ ...databaseConfig(emulator), knexConfig }, logging),
    ).rejects.toThrow();

    const warnings = logging.lines.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(
        /^plugin-rbac-backend .*lakebase\.localProxy: true.*connection\.host/,
      ),
    );
  });
});

/** The credentials of RBAC's second pool, which alone tells no name. */
const loginsOfTypeOrm = ({ gateway }: Emulator, database: string) =>
  gateway.logins
    .filter(login => login.database === database && !login.applicationName)
    .map(({ tokenId }) => tokenId);

/** Of what RBAC makes by either of its ways to connect. */
const ownersOfTables = (emulator: Emulator, database: string) =>
  emulator.query(
    `select distinct tableowner from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema')
        and tablename in ('casbin_rule', 'role-metadata')`,
    [],
    database,
  );
