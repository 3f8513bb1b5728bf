import dns from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { inspect } from 'node:util';
import { stringifyError } from '@backstage/errors';
import type { JsonObject } from '@backstage/types';
import { type Emulator, REFUSALS, type RefusalKind } from '../../emulator';
import { SECOND } from '../../testbed/durations';
import { FakeClock } from '../../testbed/fakeClock';
import { cureAfter } from '../support/cureAfter';
import { knowsDirectTls } from '../support/directTls';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();

/** Tries again without a pause, up to `connectTimeout` on its own clock. */
function startLakebase(emulator: Emulator, settings: JsonObject) {
  const clock = new FakeClock();
  clock.skipsPauses = true;
  return { ...start.lakebase(emulator, settings, { clock }), clock };
}

const schemaMode = { pluginDivisionMode: 'schema' };
const impatient = {
  ...schemaMode,
  lakebase: { connectTimeout: { seconds: 1 } },
};

/** What the operator reads when a plugin gets no database. */
async function adviceFrom(
  emulator: Emulator,
  settings: JsonObject,
  meanwhile: (clock: FakeClock) => Promise<void> = async () => {},
) {
  const lakebase = startLakebase(emulator, settings);
  const failure = lakebase.getClient('catalog').then(
    () => undefined,
    (reason: unknown) => reason,
  );
  await meanwhile(lakebase.clock);
  const error = await failure;
  const shown = inspect([error, lakebase.lines], {
    depth: 10,
    showHidden: true,
  });
  expect(shown).not.toContain(emulator.servicePrincipal.clientSecret);
  expect(shown).not.toMatch(/eyJ[\w-]{10,}/);
  return stringifyError(error);
}

/** Lets the gateway refuse logins with this SQLSTATE and text. */
function refuse({ gateway }: Emulator, row: string, times = Infinity) {
  const kinds = Object.keys(REFUSALS) as RefusalKind[];
  const known = kinds.flatMap(kind =>
    REFUSALS[kind].map(({ code, message }, variant) => ({
      kind,
      variant,
      said: `${code} ${message('u', 'd')}`,
    })),
  );
  const { kind, variant } = known.find(({ said }) => said.startsWith(row))!;
  gateway.refuseNext(kind, { times, variant });
}

const TLS = /connection\.ssl\.ca .*connection\.ssl\.servername/;
const ROLE =
  /CREATE EXTENSION IF NOT EXISTS databricks_auth; SELECT databricks_create_role\('[\w-]+', 'SERVICE_PRINCIPAL'\);$/;
const POOLER = /^A pooler takes no OAuth logins: .*connection\.host.*-pooler$/;
const IDENTITY = /^Check that .*connection\.user .*databricks_create_role/;
const ALLOWED = /if that lasts, enable the endpoint, .*IP access list.*link$/;
const SMALLER = /^Lower .*knexConfig\.pool\.max, .*more capacity units$/;
const WAIT = /if that lasts, see the state of the endpoint .*connectTimeout$/;
const NETWORK = /^Check that this host may open connections to port \d+/;
const DATABASE =
  /^Check .*connection\.database, .*adminDatabase, .*ensureExists/;

describe('a login that only people can cure is told', () => {
  const untrusted = 'No verified TLS connection';
  const refused = 'refused the credential of';

  it.each<[row: string, cause: string, cure: RegExp, logins: number]>([
    ['08P01 Invalid protocol version', untrusted, TLS, 1],
    ['08006 Connection does not have SNI', untrusted, TLS, 1],
    ['08006 Insecure connection', untrusted, TLS, 1],
    ['28000 role "', 'There is no Postgres role', ROLE, 1],
    ['08P01 SASL authentication failed', 'in the way of a pooler', POOLER, 1],
    // Whatever the words, the credential may be the one at fault: once more.
    ['XX000 Provided authentication token', refused, IDENTITY, 2],
    ['XX000 JWT token has expired', refused, IDENTITY, 2],
    ['XX000 JWT token is not yet ready', refused, IDENTITY, 2],
    ['XX000 jwk not found', refused, IDENTITY, 2],
    ['28P01 Failed to decode token for role', refused, IDENTITY, 2],
    ["28P01 password authentication failed for user '", refused, IDENTITY, 2],
    ['XX000 password authentication failed for user "', refused, IDENTITY, 2],
  ])('%s', async (row, cause, cure, logins) => {
    const emulator = await start.emulator();
    refuse(emulator, row);

    const said = await adviceFrom(emulator, schemaMode);

    expect(cureAfter(cause, said)).toMatch(cure);
    expect(emulator.gateway.refusals).toHaveLength(logins);
    expect(emulator.controlPlane.count('credentials')).toBe(1);
  });

  it('an IP address as the host, which tells the gateway no name', async () => {
    const emulator = await start.emulator();
    const connection = { host: '127.0.0.1' };

    const said = await adviceFrom(emulator, { ...schemaMode, connection });

    expect(cureAfter(untrusted, said)).toMatch(TLS);
    expect(said).toContain('Connection does not have SNI');
    expect(emulator.gateway.refusals).toHaveLength(1);
  });

  it.each(['untrusted', 'wrongName', 'expired', 'off'] as const)(
    'a server whose TLS is %s',
    async tls => {
      const emulator = await start.emulator();
      emulator.gateway.tls = tls;
      let connections = 0;
      emulator.gateway.on('connection', () => (connections += 1));

      const said = await adviceFrom(emulator, schemaMode);

      expect(cureAfter(untrusted, said)).toMatch(TLS);
      // Where there is none at once, it is asked for.
      expect(connections).toBe(tls === 'off' && knowsDirectTls ? 2 : 1);
    },
  );

  it.each<[string, JsonObject, logins: number]>([
    [
      'a database that is not to be created',
      { ...schemaMode, connection: { database: 'x' }, ensureExists: false },
      1,
    ],
    [
      'postgres as the database to create others from',
      { lakebase: { adminDatabase: 'postgres' } },
      2,
    ],
  ])('3D000: %s', async (_, settings, logins) => {
    const emulator = await start.emulator();

    const said = await adviceFrom(emulator, settings);

    expect(cureAfter('There is no database', said)).toMatch(DATABASE);
    expect(emulator.gateway.refusals).toHaveLength(logins);
  });

  it('25006: a server that takes no writes', async () => {
    const emulator = await start.emulator();
    const { clientId } = emulator.servicePrincipal;
    await emulator.query(
      `alter role "${clientId}" set default_transaction_read_only to on`,
    );

    const said = await adviceFrom(emulator, schemaMode);

    expect(cureAfter('is read-only', said)).toMatch(
      /^Point .*lakebase\.endpoint and .*connection\.host to the read-write/,
    );
    expect(emulator.gateway.logins).toHaveLength(1);
  });
});

describe('a login that fails for a while', () => {
  const starting = 'was still starting up';
  const full = 'has no connection left';
  const rows: [row: string, cause: string, cure: RegExp][] = [
    ['28000 External authorization failed', 'External auth', ALLOWED],
    ['08006 Client handshake timeout', starting, WAIT],
    ['XX000 Invalid upstream handshake state', starting, WAIT],
    ['53300 sorry, too many clients', full, SMALLER],
    ['53300 remaining connection slots', full, SMALLER],
    ['XX000 Too many connections to this endpoint', full, SMALLER],
    ['XX000 Failed to acquire permit', full, SMALLER],
    ['57P01 terminating connection', starting, WAIT],
    ['57P02 terminating connection', starting, WAIT],
    ['57P03 the database system is starting', starting, WAIT],
    ["XX000 Couldn't connect to compute node", starting, WAIT],
    ['XX000 Control plane request failed', starting, WAIT],
    ['XX000 Authentication timed out', starting, WAIT],
  ];

  // The other rows: refusedLogins.test.ts.
  it.each([
    'XX000 JWT token has expired',
    '28P01 password authentication failed',
  ])('is tried again with the same credential: %s', async row => {
    const emulator = await start.emulator();
    refuse(emulator, row, 1);
    const lakebase = startLakebase(emulator, schemaMode);

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.gateway.refusals).toHaveLength(1);
    expect(emulator.controlPlane.count('credentials')).toBe(1);
  });

  it.each(rows)('is told when it lasts: %s', async (row, cause, cure) => {
    const emulator = await start.emulator();
    refuse(emulator, row);

    const said = await adviceFrom(emulator, impatient);

    expect(cureAfter(cause, said)).toMatch(cure);
    expect(said).toContain('backend.database.lakebase.connectTimeout');
  });
});

describe('an endpoint that does not answer is told', () => {
  afterEach(() => jest.restoreAllMocks());
  const unreachable = 'could not be reached';

  it('ECONNREFUSED: nobody listens', async () => {
    const emulator = await start.emulator();
    const connection = { port: await closedPort() };

    const said = await adviceFrom(emulator, { ...impatient, connection });

    expect(said).toContain('ECONNREFUSED');
    expect(cureAfter(unreachable, said)).toMatch(NETWORK);
  });

  it('ECONNRESET: connections are cut', async () => {
    const emulator = await start.emulator();
    emulator.gateway.compute.suspend({ wakeDelayMs: 2_000, while: 'refuse' });

    const said = await adviceFrom(emulator, impatient);

    expect(said).toContain('ECONNRESET');
    expect(cureAfter(unreachable, said)).toMatch(NETWORK);
  });

  it('Connection terminated unexpectedly: nobody speaks', async () => {
    const emulator = await start.emulator();
    emulator.gateway.stall(true);

    const said = await adviceFrom(emulator, impatient, async clock => {
      await once(emulator.gateway, 'connection');
      await clock.advance(SECOND);
    });
    emulator.gateway.stall(false);

    expect(cureAfter(unreachable, said)).toMatch(NETWORK);
  });

  it.each([
    [
      'ENOTFOUND',
      'could not be resolved',
      /^Check .*connection\.host and .*DNS/,
    ],
    ['EAI_AGAIN', unreachable, NETWORK],
  ])('%s: its name is not known', async (code, cause, cure) => {
    const emulator = await start.emulator();
    const failure = Object.assign(new Error(code), { code });
    jest.spyOn(dns, 'lookup').mockImplementation((...args: unknown[]) => {
      (args.at(-1) as (error: Error) => void)(failure);
    });
    const connection = { host: 'ep-misspelt.database.example.com' };

    const said = await adviceFrom(emulator, { ...impatient, connection });

    expect(said).toContain(code);
    expect(cureAfter(cause, said)).toMatch(cure);
  });
});

/** Where somebody has listened, and listens no more. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
