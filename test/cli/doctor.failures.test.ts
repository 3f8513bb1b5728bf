import type { JsonObject } from '@backstage/types';
import type { Emulator } from '../../emulator';
import { lakebaseTests } from '../support/lakebase';
import { configFiles, diagnosis } from './commandLine';

const start = lakebaseTests();
const files = configFiles();

const databaseMode = { pluginDivisionMode: 'database' };

/** In the order of the examination. */
const ALL = [
  'workspace',
  'identity',
  'endpoint',
  'credential',
  'host name',
  'login',
  'admin database',
  'rights',
  'ownership',
  'connections',
];
const after = (check: string) => ALL.slice(ALL.indexOf(check) + 1);

interface BrokenSetUp {
  title: string;
  /** Breaks what surrounds the backend; returns what the configuration says. */
  breakIt(emulator: Emulator): Promise<JsonObject> | JsonObject;
  args?: string[];
  check: string;
  /** A part of what was found. */
  found: RegExp;
  /** A part of the advice and of what is to be copied. */
  cure: RegExp;
  skipped: string[];
  exitCode?: number;
}

const SET_UPS: BrokenSetUp[] = [
  {
    title: 'an error in the configuration',
    breakIt: () => ({ lakebase: { endpoint: 'production' } }),
    check: 'configuration',
    found: /backend\.database\.lakebase\.endpoint is not/,
    cure: /projects\/P\/branches\/B\/endpoints\/E/,
    skipped: ALL,
    exitCode: 2,
  },
  {
    title: 'an identity that only the backend has',
    breakIt: () => ({
      lakebase: { workspace: { authType: 'external' } },
    }),
    check: 'configuration',
    found: /authType is 'external'/,
    cure: /Give it another identity/,
    skipped: ALL,
    exitCode: 2,
  },
  {
    title: 'a workspace that does not answer',
    breakIt: () => ({
      lakebase: { workspace: { host: 'http://127.0.0.1:1' } },
    }),
    check: 'workspace',
    found: /127\.0\.0\.1:1 could not be reached/,
    cure: /Check backend\.database\.lakebase\.workspace\.host/,
    skipped: after('workspace'),
  },
  {
    title: 'a wrong client secret',
    breakIt: () => ({ lakebase: { workspace: { clientSecret: 'stale' } } }),
    check: 'identity',
    found: /refused to exchange the OAuth client secret/,
    cure: /workspace\.clientSecret: the secret may be wrong, expired/,
    skipped: after('identity'),
  },
  {
    title: 'a misspelt endpoint',
    breakIt: () => ({
      lakebase: {
        endpoint: 'projects/backstage/branches/prod/endpoints/primary',
      },
    }),
    check: 'endpoint',
    found: /HTTP 404/,
    cure: /Check backend\.database\.lakebase\.endpoint .* may be misspelt/,
    skipped: after('endpoint'),
  },
  ...(['pooledHost', 'readOnlyHost'] as const).map((kind): BrokenSetUp => ({
    title: `the ${kind} of the endpoint as its host`,
    breakIt({ controlPlane, endpoint, gateway }) {
      controlPlane.catalog.changeEndpoint(endpoint, {
        host: gateway.otherHost.toLowerCase() + '.other',
        [kind]: gateway.host,
      });
      return { connection: { host: gateway.otherHost } };
    },
    check: 'endpoint',
    found: /LOCALHOST is the read_\w+host of .*takes no writes or no OAuth/,
    cure: /Remove backend\.database\.connection\.host/,
    skipped: after('endpoint'),
  })),
  {
    title: 'an identity without CAN USE',
    breakIt({ controlPlane }) {
      controlPlane.answer('credentials', { status: 403 });
      return {};
    },
    check: 'credential',
    found: /refused to mint a database credential \(HTTP 403/,
    cure: /Give service principal .* CAN USE on the Lakebase project/,
    skipped: after('credential'),
  },
  {
    title: 'a host name that does not resolve',
    breakIt: () => ({ connection: { host: 'endpoint.invalid' } }),
    check: 'host name',
    found: /endpoint\.invalid could not be resolved/,
    cure: /nslookup endpoint\.invalid$/,
    skipped: after('host name'),
  },
  {
    title: 'an endpoint whose certificate nobody here trusts',
    breakIt({ gateway }) {
      gateway.tls = 'untrusted';
      return {};
    },
    check: 'login',
    found: /No verified TLS connection to localhost:\d+ was possible/,
    cure: /connection\.ssl\.ca or NODE_EXTRA_CA_CERTS/,
    skipped: after('login'),
  },
  {
    title: 'a disabled endpoint',
    breakIt({ controlPlane, endpoint }) {
      controlPlane.catalog.changeEndpoint(endpoint, { disabled: true });
      return {};
    },
    check: 'endpoint',
    found: /is disabled/,
    cure: /Enable it/,
    skipped: after('endpoint'),
  },
  {
    title: 'an identity without a Postgres role',
    async breakIt(emulator) {
      const stranger = await emulator.addServicePrincipal({ role: false });
      return { lakebase: { workspace: { ...stranger } } };
    },
    check: 'login',
    found: /There is no Postgres role for .* on this branch$/,
    cure: /\nSELECT databricks_create_role\('.*', 'SERVICE_PRINCIPAL'\);$/,
    skipped: after('login'),
  },
  {
    title: 'another user than the identity',
    async breakIt(emulator) {
      await emulator.createRole('somebody_else');
      return { connection: { user: 'somebody_else' } };
    },
    check: 'login',
    found: /refused the credential of somebody_else/,
    cure: /Check that backend\.database\.connection\.user is the identity/,
    skipped: after('login'),
  },
  {
    title: 'a role that the login may not become',
    async breakIt(emulator) {
      await emulator.createRole('owner_of_all');
      return { role: 'owner_of_all' };
    },
    check: 'login',
    found: /may not become "owner_of_all"/,
    cure: /\nGRANT "owner_of_all" TO ".*" WITH SET TRUE;$/,
    skipped: after('login'),
  },
  {
    title: 'an admin database that is not there',
    breakIt: () => ({ ...databaseMode, lakebase: { adminDatabase: 'absent' } }),
    check: 'admin database',
    found: /There is no database "absent"/,
    cure: /backend\.database\.lakebase\.adminDatabase/,
    skipped: after('admin database'),
  },
  {
    title: 'a login that may not create databases',
    async breakIt(emulator) {
      const principal = await emulator.addServicePrincipal();
      return { ...databaseMode, lakebase: { workspace: { ...principal } } };
    },
    check: 'rights',
    found: /may not create databases/,
    cure: /\nALTER ROLE ".*" CREATEDB;$/,
    skipped: [],
  },
  {
    title: 'a login that may not create schemas',
    async breakIt(emulator) {
      const { clientId } = emulator.servicePrincipal;
      await emulator.query(
        `REVOKE CREATE ON DATABASE databricks_postgres FROM "${clientId}"`,
      );
      return {};
    },
    check: 'rights',
    found: /lacks rights on database "databricks_postgres"/,
    cure: /\nGRANT CONNECT, CREATE, TEMPORARY ON DATABASE .*;$/,
    skipped: [],
  },
  {
    title: 'a schema that belongs to somebody else',
    async breakIt(emulator) {
      await emulator.createRole('former_owner');
      await emulator.query('CREATE SCHEMA catalog AUTHORIZATION former_owner');
      return {};
    },
    check: 'ownership',
    found: /Schema catalog belongs to former_owner/,
    cure: /\nDO \$\$ BEGIN EXECUTE format\('REASSIGN OWNED BY/,
    skipped: [],
  },
  {
    title: 'tables of somebody else in a schema that may be used',
    async breakIt(emulator) {
      const { clientId } = emulator.servicePrincipal;
      await emulator.createRole('former_owner');
      await emulator.query(
        `CREATE SCHEMA todo AUTHORIZATION "${clientId}";
         CREATE TABLE todo.knex_migrations (id int);
         CREATE TABLE todo.items (id int);
         ALTER TABLE todo.items OWNER TO former_owner;
         ALTER TABLE todo.knex_migrations OWNER TO "${clientId}"`,
      );
      return {};
    },
    check: 'ownership',
    found: /Table items in schema todo belongs to former_owner$/,
    cure: /\nDO \$\$ .*REASSIGN OWNED BY/,
    skipped: [],
  },
  {
    title: 'a database that belongs to somebody else',
    async breakIt(emulator) {
      await emulator.createRole('former_owner');
      await emulator.query(
        'CREATE DATABASE backstage_plugin_catalog OWNER former_owner',
      );
      return databaseMode;
    },
    check: 'ownership',
    found: /Database backstage_plugin_catalog belongs to former_owner/,
    cure: /\nALTER DATABASE "backstage_plugin_catalog" OWNER TO ".*";$/,
    skipped: [],
  },
  {
    title: 'more connections than the endpoint has',
    breakIt: () => ({ knexConfig: { pool: { max: 500 } } }),
    args: ['--plugins', '2', '--replicas', '3'],
    check: 'connections',
    found:
      /2 plugins \(--plugins\) × 500 connections × 3 replicas = 3000, more than/,
    cure: /\nbackend\.database\.lakebase\.maxConnections: \d+$/,
    skipped: [],
  },
];

describe('the doctor names the first thing that is broken, and its cure, with', () => {
  it.each(SET_UPS)('$title', async setUp => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator, await setUp.breakIt(emulator));

    const { exitCode, failure, skipped } = await diagnosis(
      file,
      ...(setUp.args ?? []),
    );

    const { check, message, remedy, statements = [] } = failure;
    expect(check).toBe(setUp.check);
    expect(message).toMatch(setUp.found);
    expect([remedy, ...statements].join('\n')).toMatch(setUp.cure);
    expect(skipped).toEqual(setUp.skipped);
    expect(exitCode).toBe(setUp.exitCode ?? 1);
  });

  it('a workspace whose certificate nobody here trusts', async () => {
    const emulator = await start.emulator({ https: true });
    const file = await files.leadingTo(emulator);

    const { failure, skipped } = await diagnosis(file);

    expect(failure.check).toBe('workspace');
    expect(failure.message).toMatch(/certificate .* could not be verified/);
    expect(failure.remedy).toContain('NODE_EXTRA_CA_CERTS');
    expect(skipped).toEqual(after('workspace'));
    expect(emulator.controlPlane.calls).toEqual([]);
  });
});
