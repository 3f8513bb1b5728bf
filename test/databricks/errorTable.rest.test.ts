import dns from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { stringifyError } from '@backstage/errors';
import type { JsonObject } from '@backstage/types';
import type { Emulator, Fault, Route } from '../../emulator';
import { checkAtStart, catchRefusal } from '../support/appConfig';
import { SECOND } from '../../testbed/durations';
import { FakeClock } from '../../testbed/fakeClock';
import { cureAfter } from '../support/cureAfter';
import { lakebaseTests } from '../support/lakebase';
import { catchFailure, createWorkspace } from '../support/workspaces';

const start = lakebaseTests();

/** What a reply says in its own words is not repeated. */
const SAID = 'Ask Ms Quux at extension 4711';
const IP_ACL = 'Source IP address: 192.0.2.7 is blocked by Databricks IP ACL';
const LOGIN_PAGE = `<!doctype html><title>Sign in</title><pre>${SAID}</pre>`;

const api = (status: number, code: string, message = SAID): Fault => ({
  status,
  body: { error_code: code, message },
});

const inSchemas = (lakebase: JsonObject = {}) => ({
  pluginDivisionMode: 'schema',
  lakebase,
});
const impatient = (lakebase: JsonObject = {}) =>
  inSchemas({ connectTimeout: { seconds: 1 }, ...lakebase });

/** What the operator reads when a plugin gets no database. */
async function adviceFrom(
  emulator: Emulator,
  settings: JsonObject,
  waitsMs = 0,
) {
  const clock = new FakeClock();
  const lakebase = start.lakebase(emulator, settings, { clock });
  const client = lakebase.getClient('catalog');
  // Handled below, and perhaps later than it fails.
  client.catch(() => {});
  if (waitsMs > 0) {
    await lakebase.logged(/^Minting .* fails/);
    await clock.advance(waitsMs);
  }
  const error = await catchFailure(client, [
    emulator.servicePrincipal.clientSecret,
    'eyJ',
    SAID,
    '192.0.2.7',
  ]);
  return stringifyError(error);
}

const LIFETIME =
  /^Check .*lakebase\.endpoint \(projects\/.*credential\.lifetime/;
const SECRET = /^Check .*workspace\.clientSecret: .*expired or revoked/;
const CAN_USE = /^Give service principal \S+ CAN USE on the Lakebase project/;
const IP_LIST = /^Add the address .* to the IP access list of http/;
const ENDPOINT = /^Check .*lakebase\.endpoint \(.*misspelt.*CAN USE/;
const ENABLE = /^Enable Lakebase in http.* as its administrator.*endpoint/;
const REDIRECTED = /^Check .*workspace\.host, .*private link/;

/** A row of the API's table, such as `404 NOT_FOUND`. */
function replyOf(row: string, message?: string): Fault {
  const [status, code] = row.split(' ');
  return api(Number(status), code, message);
}

describe('a refusal that only people can cure is told after one attempt', () => {
  it.each<[row: string, cure: RegExp, attempts?: number, message?: string]>([
    ['400 BAD_REQUEST', LIFETIME],
    ['400 INVALID_PARAMETER_VALUE', LIFETIME],
    ['400 INVALID_STATE', LIFETIME],
    // The access token may be the one at fault, and is exchanged anew once.
    ['401 UNAUTHENTICATED', SECRET, 2],
    ['403 PERMISSION_DENIED', CAN_USE],
    ['403 CUSTOMER_UNAUTHORIZED', CAN_USE],
    ['403 PERMISSION_DENIED', IP_LIST, 1, IP_ACL],
    ['404 NOT_FOUND', ENDPOINT],
    ['404 RESOURCE_DOES_NOT_EXIST', ENDPOINT],
    ['404 ENDPOINT_NOT_FOUND', ENDPOINT],
    ['404 FEATURE_DISABLED', ENABLE],
    ['403 FEATURE_DISABLED', ENABLE],
  ])('%s leads to %s', async (row, cure, attempts = 1, message) => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', replyOf(row, message));

    const said = await adviceFrom(emulator, inSchemas());

    const cause = `database credential (HTTP ${row.replace(' ', ', ')})`;
    expect(cureAfter(cause, said)).toMatch(cure);
    expect(emulator.controlPlane.count('credentials')).toBe(attempts);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  const location = '/login.html?error=private-link-validation-error';

  it.each<[Route, cause: string, Fault, cure: RegExp]>([
    ['credentials', 'HTTP 400', { status: 400, body: '' }, LIFETIME],
    ['credentials', 'HTTP 403', { status: 403, body: LOGIN_PAGE }, CAN_USE],
    ['credentials', 'HTTP 403', api(403, '403', IP_ACL), IP_LIST],
    ['credentials', 'HTTP 404', { status: 404, body: '' }, ENDPOINT],
    [
      'credentials',
      'a redirect (HTTP 302)',
      { status: 302, headers: { location }, body: '' },
      REDIRECTED,
    ],
    ['token', 'HTTP 401, invalid_client', { status: 401 }, SECRET],
    ['token', 'HTTP 403', { status: 403, body: LOGIN_PAGE }, SECRET],
    ['token', 'HTTP 403', api(403, '403', IP_ACL), IP_LIST],
    [
      'endpoint',
      'look up the endpoint (HTTP 403, PERMISSION_DENIED)',
      api(403, 'PERMISSION_DENIED'),
      CAN_USE,
    ],
  ])('%s: %s', async (route, cause, fault, cure) => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer(route, fault);

    const said = await adviceFrom(emulator, inSchemas());

    expect(cureAfter(cause, said)).toMatch(cure);
    expect(emulator.controlPlane.count(route)).toBe(1);
  });

  it('a certificate that nobody vouches for', async () => {
    const emulator = await start.emulator({ https: true });

    const said = await adviceFrom(emulator, inSchemas());

    const cure = cureAfter('could not be verified', said);
    expect(cure).toMatch(/NODE_EXTRA_CA_CERTS; .*workspace\.host/);
    expect(emulator.controlPlane.calls).toEqual([]);
  });
});

describe('a token of the wrong kind is told before anything is sent', () => {
  it('a database credential as DATABRICKS_TOKEN', async () => {
    const emulator = await start.emulator();
    const { token } = await createWorkspace(emulator).mintCredential();
    const env = { DATABRICKS_TOKEN: token, DATABRICKS_CLIENT_ID: '' };

    const said = catchRefusal(() => checkAtStart({}, env));

    const cause = 'DATABRICKS_TOKEN is not a personal access token';
    expect(cureAfter(cause, said)).toMatch(/^Remove it, and such a script/);
    expect(said).not.toContain(token);
  });

  it('a personal access token as the Postgres password', async () => {
    const emulator = await start.emulator();
    const password = 'dapi0canary';
    const connection = { password };

    const said = catchRefusal(() =>
      start.lakebase(emulator, { ...inSchemas(), connection }),
    );

    expect(said).not.toContain(password);
    expect(said).toMatch(/backend\.database\.connection holds a password/);
    expect(emulator.controlPlane.calls).toEqual([]);
    expect(emulator.gateway.refusals).toEqual([]);
  });
});

const AGAIN =
  /^This is retried automatically; if that lasts, see the status page of Databricks .*connectTimeout$/;
const PROPAGATED = /retried automatically; if that lasts, give .* CAN USE/;
const NETWORK = /^Check .*workspace\.host, name resolution, and .*proxy/;
const NOT_JSON = /^Check that .*workspace\.host is right, .*login page/;

describe('a fault that passes by itself', () => {
  it.each<[string, Fault]>([
    ['403', api(403, 'PERMISSION_NOT_PROPAGATED')],
    ['409', { status: 409 }],
    ['429', { status: 429 }],
    ['429 with Retry-After', { status: 429, headers: { 'Retry-After': '1' } }],
    ['500', { status: 500 }],
    ['503', { status: 503 }],
    ['a reset', { reset: true }],
    ['a login page', { body: LOGIN_PAGE }],
  ])('is waited for: %s', async (_, fault) => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', fault, { times: 1 });
    const clock = new FakeClock();
    const lakebase = start.lakebase(emulator, inSchemas(), { clock });

    const client = lakebase.getClient('catalog');
    await lakebase.logged(/^Minting .* fails/);
    await clock.advance(5 * SECOND);
    const knex = await client;

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.controlPlane.count('credentials')).toBe(2);
  });

  const codes = [
    '409 ABORTED',
    '409 COULD_NOT_ACQUIRE_LOCK',
    '429 REQUEST_LIMIT_EXCEEDED',
    '429 RESOURCE_EXHAUSTED',
    '429 QUOTA_EXCEEDED',
    '400 QUOTA_EXCEEDED',
    '429 RESOURCE_LIMIT_EXCEEDED',
    '500 INTERNAL_ERROR',
    '500 UNKNOWN',
    '502 TEMPORARILY_UNAVAILABLE',
    '503 UNAVAILABLE',
    '503 WORKSPACE_TEMPORARILY_UNAVAILABLE',
    '503 SERVICE_UNDER_MAINTENANCE',
    '504 DEADLINE_EXCEEDED',
  ];
  it.each<[cause: string, Fault, cure: RegExp]>([
    ...codes.map((row): [string, Fault, RegExp] => [
      `HTTP ${row.replace(' ', ', ')}`,
      replyOf(row),
      AGAIN,
    ]),
    [
      'HTTP 403, PERMISSION_NOT_PROPAGATED',
      api(403, 'PERMISSION_NOT_PROPAGATED'),
      PROPAGATED,
    ],
    ['HTTP 502', { status: 502, body: LOGIN_PAGE }, AGAIN],
    ['HTTP 503', { status: 503, body: '' }, AGAIN],
    ['something else than JSON', { body: LOGIN_PAGE }, NOT_JSON],
    ['something else than JSON', { body: '' }, NOT_JSON],
    ['(ECONNRESET)', { reset: true }, NETWORK],
  ])('is told when it lasts: %s', async (cause, fault, cure) => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', fault);

    const said = await adviceFrom(emulator, impatient(), SECOND);

    expect(cureAfter(cause, said)).toMatch(cure);
    expect(said).toContain('could be minted in time');
  });

  it.each([
    ['seconds', () => '60'],
    ['an HTTP date', () => new Date(Date.now() + 60_000).toUTCString()],
  ])('is not asked about before Retry-After, in %s', async (_, value) => {
    const emulator = await start.emulator();
    const headers = { 'Retry-After': value() };
    emulator.controlPlane.answer('credentials', { status: 429, headers });

    const connectTimeout = { seconds: 59 };
    const said = await adviceFrom(
      emulator,
      impatient({ connectTimeout }),
      59 * SECOND,
    );

    expect(cureAfter('HTTP 429', said)).toMatch(AGAIN);
    expect(emulator.controlPlane.count('credentials')).toBe(1);
  });
});

describe('a workspace that does not answer', () => {
  afterEach(() => jest.restoreAllMocks());

  it.each(['ENOTFOUND', 'EAI_AGAIN'])('by its name (%s)', async code => {
    const emulator = await start.emulator();
    const failure = Object.assign(new Error(code), { code });
    jest.spyOn(dns, 'lookup').mockImplementation((...args: unknown[]) => {
      (args.at(-1) as (error: Error) => void)(failure);
    });
    const workspace = { host: 'https://dbc-misspelt.example.com' };

    const said = await adviceFrom(emulator, impatient({ workspace }), SECOND);

    expect(cureAfter(`(${code})`, said)).toMatch(NETWORK);
  });

  it('at its port', async () => {
    const emulator = await start.emulator();
    const workspace = { host: `http://127.0.0.1:${await closedPort()}` };

    const said = await adviceFrom(emulator, impatient({ workspace }), SECOND);

    expect(cureAfter('(ECONNREFUSED)', said)).toMatch(NETWORK);
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
