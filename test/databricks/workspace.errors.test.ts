import { ServerResponse } from 'node:http';
import type { Emulator, Fault, Route } from '../../emulator';
import type { Workspace } from '../../src/databricks/workspace';
import type { LakebaseError } from '../../src/errors';
import { startTestEmulator } from '../support/emulator';
import { everythingIn } from '../support/everythingIn';
import {
  ACCESS_TOKEN,
  type Answer,
  json,
  type ReceivedRequest,
  ScriptedServer,
  withoutDate,
} from '../support/scriptedServer';
import {
  CLIENT,
  catchFailure,
  fakeOnly,
  HOST_KEY,
  SECRET_KEY,
  secretsOf,
  createWorkspaceAt,
  createWorkspace,
} from '../support/workspaces';

const MINUTE = 60_000;

/** What a person wrote on the other side, which is not ours to repeat. */
const SAID = 'Ask Ms Quux at extension 4711';
const REQUEST_ID = '0a1b2c3d-4e5f-6789-abcd-ef0123456789';
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';

let emulator: Emulator;
let workspace: Workspace;
let earlierCalls: number;
/** All that must not be found in an error: grows with each access token. */
let secrets: string[];

beforeAll(async () => {
  emulator = await startTestEmulator();
});
beforeEach(() => {
  const { controlPlane, servicePrincipal } = emulator;
  workspace = createWorkspace(emulator);
  secrets = [...secretsOf(servicePrincipal), SAID];
  controlPlane.answer('token', {
    change: (body: { access_token: string }) => {
      secrets.push(body.access_token);
      return body;
    },
  });
  earlierCalls = controlPlane.calls.length;
});
afterEach(() => {
  jest.useRealTimers();
  emulator.controlPlane.recover();
  emulator.controlPlane.clockOffsetMs = 0;
});
afterAll(() => emulator.stop());

const callsMade = () =>
  emulator.controlPlane.calls.slice(earlierCalls).map(({ route }) => route);

/** What the mint fails with, when this route answers so. */
async function failureWith(route: Route, fault: Fault) {
  emulator.controlPlane.answer(route, fault);
  return catchFailure(workspace.mintCredential(), secrets);
}

/** An error body of the API, as the platform writes it today. */
const apiBody = (error_code: string | number, message = SAID) => ({
  error_code,
  message: `${message} [TraceId: ${TRACE_ID}]`,
  details: [
    {
      '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
      reason: SAID,
      domain: 'example.com',
    },
    {
      '@type': 'type.googleapis.com/google.rpc.RequestInfo',
      request_id: REQUEST_ID,
      serving_data: SAID,
    },
  ],
});

const LOGIN_PAGE = `<!doctype html><title>Sign in</title><pre>${SAID}</pre>`;

describe('a refusal by the API', () => {
  /** Whether waiting helps, and what the message has to lead to. */
  const meanings: Record<string, [permanent: boolean, leads: () => string[]]> =
    {
      'request-invalid': [
        true,
        () => [
          'backend.database.lakebase.endpoint',
          'backend.database.lakebase.credential.lifetime',
          emulator.endpoint,
        ],
      ],
      'access-token-refused': [true, () => [SECRET_KEY]],
      'permission-denied': [
        true,
        () => [
          'CAN USE',
          'IP access list',
          emulator.servicePrincipal.clientId,
          emulator.endpoint,
        ],
      ],
      'permission-not-propagated': [false, () => ['grant']],
      'endpoint-not-found': [
        true,
        () => [
          'backend.database.lakebase.endpoint',
          'CAN USE',
          emulator.controlPlane.url,
          emulator.servicePrincipal.clientId,
          emulator.endpoint,
        ],
      ],
      'workspace-busy': [false, () => []],
    };

  async function expectMeaning(code: string, fault: Fault) {
    const [permanent, leads] = meanings[code];
    const error = await failureWith('credentials', fault);

    expect(error.code).toBe(code);
    expect(error.permanent).toBe(permanent);
    for (const lead of leads()) expect(error.message).toContain(lead);
    return error;
  }

  const codes: [status: number, errorCode: string, code: string][] = [
    [400, 'BAD_REQUEST', 'request-invalid'],
    [400, 'INVALID_PARAMETER_VALUE', 'request-invalid'],
    [400, 'INVALID_STATE', 'request-invalid'],
    [401, 'UNAUTHENTICATED', 'access-token-refused'],
    [403, 'PERMISSION_DENIED', 'permission-denied'],
    [403, 'CUSTOMER_UNAUTHORIZED', 'permission-denied'],
    [403, 'PERMISSION_NOT_PROPAGATED', 'permission-not-propagated'],
    [404, 'NOT_FOUND', 'endpoint-not-found'],
    [404, 'RESOURCE_DOES_NOT_EXIST', 'endpoint-not-found'],
    [404, 'ENDPOINT_NOT_FOUND', 'endpoint-not-found'],
    [404, 'FEATURE_DISABLED', 'endpoint-not-found'],
    [409, 'ABORTED', 'workspace-busy'],
    [409, 'COULD_NOT_ACQUIRE_LOCK', 'workspace-busy'],
    [429, 'REQUEST_LIMIT_EXCEEDED', 'workspace-busy'],
    [429, 'RESOURCE_EXHAUSTED', 'workspace-busy'],
    [500, 'INTERNAL_ERROR', 'workspace-busy'],
    [500, 'UNKNOWN', 'workspace-busy'],
    [502, 'TEMPORARILY_UNAVAILABLE', 'workspace-busy'],
    [503, 'TEMPORARILY_UNAVAILABLE', 'workspace-busy'],
    [503, 'UNAVAILABLE', 'workspace-busy'],
    [503, 'WORKSPACE_TEMPORARILY_UNAVAILABLE', 'workspace-busy'],
    [503, 'SERVICE_UNDER_MAINTENANCE', 'workspace-busy'],
    [504, 'DEADLINE_EXCEEDED', 'workspace-busy'],
  ];
  it.each(codes)(
    'with HTTP %i and %s is %s, and names the request',
    async (status, errorCode, code) => {
      const error = await expectMeaning(code, {
        status,
        body: apiBody(errorCode),
      });

      expect(error.message).toContain(`HTTP ${status}`);
      expect(error.message).toContain(errorCode);
      expect(error.message).toContain(REQUEST_ID);
    },
  );

  it.each<[status: number, errorCode: string, code: string]>([
    // How codes and statuses pair is partly unknown: the code is the surer one.
    ...codes.map(([, errorCode, code]): [number, string, string] => [
      418,
      errorCode,
      code,
    ]),
    [400, 'FEATURE_DISABLED', 'endpoint-not-found'],
    [400, 'PERMISSION_DENIED', 'permission-denied'],
    [403, 'TEMPORARILY_UNAVAILABLE', 'workspace-busy'],
    [403, 'UNAUTHENTICATED', 'access-token-refused'],
    [500, 'INVALID_PARAMETER_VALUE', 'request-invalid'],
    [503, 'NOT_FOUND', 'endpoint-not-found'],
  ])(
    'with HTTP %i and the unusual %s is %s, for the code decides',
    async (status, errorCode, code) => {
      await expectMeaning(code, { status, body: apiBody(errorCode) });
    },
  );

  const statuses: [number, string][] = [
    [400, 'request-invalid'],
    [401, 'access-token-refused'],
    [403, 'permission-denied'],
    [404, 'endpoint-not-found'],
    [409, 'workspace-busy'],
    [429, 'workspace-busy'],
    [500, 'workspace-busy'],
    [502, 'workspace-busy'],
    [503, 'workspace-busy'],
    [504, 'workspace-busy'],
  ];
  const bodies: [string, (status: number) => unknown][] = [
    ['an empty body', () => ''],
    ['an HTML page', () => LOGIN_PAGE],
    ['truncated JSON', () => `{"message":"${SAID}`],
    ['the code as a number', status => apiBody(status)],
    ['the status as the code', status => apiBody(String(status))],
    ['a code unheard of', () => apiBody('COMET_PASSING')],
    ['a sentence as the error', () => ({ error: SAID })],
    [
      'a SCIM error',
      status => ({
        schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
        detail: SAID,
        status: String(status),
        scimType: 'none',
      }),
    ],
    ['JSON null', () => 'null'],
    ['a JSON array', () => `["${SAID}"]`],
  ];
  it.each(
    bodies.flatMap(([name, bodyOf]) =>
      statuses.map(
        ([status, code]) => [status, name, code, bodyOf(status)] as const,
      ),
    ),
  )(
    'with HTTP %i and %s is %s, by its status',
    async (status, _, code, body) => {
      const error = await expectMeaning(code, { status, body });

      expect(error.message).toContain(`HTTP ${status}`);
    },
  );

  it.each([
    ['PERMISSION_DENIED', 'permission-denied'],
    ['TEMPORARILY_UNAVAILABLE', 'workspace-busy'],
    ['RESOURCE_DOES_NOT_EXIST', 'endpoint-not-found'],
  ])('in plain text, "%s: ...", is %s', async (errorCode, code) => {
    await expectMeaning(code, { status: 400, body: `${errorCode}: ${SAID}` });
  });

  it('because of the IP access list leads to that list', async () => {
    const message =
      'Source IP address: 192.0.2.7 is blocked by Databricks IP ACL';
    const error = await failureWith('credentials', {
      status: 403,
      body: apiBody('403', message),
    });

    expect(error.code).toBe('permission-denied');
    expect(error.message).toContain('IP access list');
    expect(everythingIn(error)).not.toContain('192.0.2.7');
  });

  it.each([
    [418, 'request-invalid', true],
    [451, 'request-invalid', true],
    [520, 'workspace-busy', false],
    [599, 'workspace-busy', false],
  ])(
    'with HTTP %i, which nobody expects, is %s and leads to the host',
    async (status, code, permanent) => {
      const error = await failureWith('credentials', { status, body: SAID });

      expect(error.code).toBe(code);
      expect(error.permanent).toBe(permanent);
      expect(error.message).toContain(HOST_KEY);
      expect(error.message).toContain(emulator.controlPlane.url);
    },
  );

  it('names the trace id when that is all there is', async () => {
    const error = await failureWith('credentials', {
      status: 403,
      body: {
        error_code: 'PERMISSION_DENIED',
        message: `${SAID} [TraceId: ${TRACE_ID}]`,
      },
    });

    expect(error.message).toContain(TRACE_ID);
  });

  it('names request id and trace id when there are both', async () => {
    const error = await failureWith('credentials', {
      status: 403,
      body: apiBody('PERMISSION_DENIED'),
    });

    expect(error.message).toContain(REQUEST_ID);
    expect(error.message).toContain(TRACE_ID);
  });

  it('of the look-up says that it was the look-up', async () => {
    emulator.controlPlane.answer('endpoint', {
      status: 404,
      body: apiBody('NOT_FOUND'),
    });
    const error = await catchFailure(workspace.findHost(), secrets);

    expect(error.code).toBe('endpoint-not-found');
    expect(error.message).toContain('look up the endpoint');
    expect(callsMade()).toEqual(['token', 'endpoint']);
  });

  it.each([403, 404, 429, 500, 503])(
    'with HTTP %i is not answered by another call',
    async status => {
      await failureWith('credentials', { status });

      expect(callsMade()).toEqual(['token', 'credentials']);
    },
  );
});

describe('a refusal by the OAuth URL', () => {
  const invalidClient = { error: 'invalid_client', error_description: SAID };

  it.each<[string, number, unknown]>([
    ['HTTP 401 and invalid_client', 401, invalidClient],
    ['HTTP 400 and invalid_client', 400, invalidClient],
    [
      'HTTP 400 and unauthorized_client',
      400,
      { error: 'unauthorized_client', error_description: SAID },
    ],
    ['HTTP 401 and a body of the API', 401, apiBody('UNAUTHENTICATED')],
    ['HTTP 401 and an HTML page', 401, LOGIN_PAGE],
    ['HTTP 401 and nothing', 401, ''],
    ['HTTP 403 and a body of the API', 403, apiBody('PERMISSION_DENIED')],
  ])('with %s leads to the client secret', async (_, status, body) => {
    const error = await failureWith('token', { status, body });

    expect(error.code).toBe('client-refused');
    expect(error.permanent).toBe(true);
    expect(error.message).toContain(SECRET_KEY);
    expect(error.message).toContain(emulator.controlPlane.url);
    expect(callsMade()).toEqual(['token']);
  });

  it('is what a wrong secret meets', async () => {
    const wrong = {
      ...emulator.servicePrincipal,
      clientSecret: 'wrong-secret',
    };
    const error = await catchFailure(
      createWorkspaceAt(emulator.controlPlane.url, wrong).mintCredential(),
      secretsOf(wrong),
    );

    expect(error.code).toBe('client-refused');
    expect(error.message).toContain(SECRET_KEY);
  });

  it.each<[string, number, unknown]>([
    ['HTTP 404 and an HTML page', 404, LOGIN_PAGE],
    ['HTTP 404 and a body of the API', 404, apiBody('ENDPOINT_NOT_FOUND')],
    ['HTTP 404 and nothing', 404, ''],
    ['HTTP 405 and nothing', 405, ''],
  ])('with %s leads to the workspace host', async (_, status, body) => {
    const error = await failureWith('token', { status, body });

    expect(error.permanent).toBe(true);
    expect(error.message).toContain(HOST_KEY);
    expect(error.message).toContain(emulator.controlPlane.url);
    expect(error.message).not.toContain('backend.database.lakebase.endpoint');
  });

  it.each([429, 500, 502, 503, 504])(
    'with HTTP %i passes by itself',
    async status => {
      const error = await failureWith('token', { status });

      expect(error.code).toBe('workspace-busy');
      expect(error.permanent).toBe(false);
    },
  );
});

describe('Retry-After', () => {
  const retryAfter = async (
    value: string,
    {
      route = 'credentials',
      status = 429,
    }: { route?: Route; status?: number } = {},
  ) => {
    const error = await failureWith(route, {
      status,
      headers: { 'Retry-After': value },
    });
    expect(error.code).toBe('workspace-busy');
    return error.retryAfterMs;
  };

  it.each([
    ['credentials', 429],
    ['credentials', 503],
    ['token', 429],
    ['token', 503],
  ] as const)(
    'in seconds is heard from %s with HTTP %i',
    async (route, status) => {
      expect(await retryAfter('7', { route, status })).toBe(7_000);
    },
  );

  it('of zero seconds is heard', async () => {
    expect(await retryAfter('0')).toBe(0);
  });

  it.each([
    ['agrees with ours', 0],
    ['is two hours ahead', 120 * MINUTE],
    ['is two hours behind', -120 * MINUTE],
  ])(
    "as a date is read by the workspace's clock, when that %s",
    async (_, offsetMs) => {
      fakeOnly('Date');
      emulator.controlPlane.clockOffsetMs = offsetMs;
      const date = new Date(Date.now() + offsetMs + 30_000).toUTCString();

      expect(await retryAfter(date)).toBe(30_000);
    },
  );

  it('as a date is read by our clock, when the workspace does not tell its own', async () => {
    fakeOnly('Date');
    const server = await ScriptedServer.start(
      withoutDate((response, request) => {
        const date = new Date(Date.now() + 30_000).toUTCString();
        response.setHeader('retry-after', date);
        json({}, 503)(response, request);
      }),
    );
    try {
      const error = await catchFailure(
        createWorkspaceAt(server.url).mintCredential(),
        secretsOf(CLIENT),
      );

      expect(error.retryAfterMs).toBe(30_000);
    } finally {
      await server.stop();
    }
  });

  it.each([
    ['a day in seconds', () => '86400'],
    ['more seconds than a number holds', () => '9'.repeat(400)],
    [
      'a date of tomorrow',
      () => new Date(Date.now() + 1440 * MINUTE).toUTCString(),
    ],
  ])('of %s is cut to 5 minutes', async (_, value) => {
    expect(await retryAfter(value())).toBe(5 * MINUTE);
  });

  it.each([
    'soon',
    '-5',
    '1.5',
    '1e3',
    '7s',
    'NaN',
    'Infinity',
    'Mon, 99 Foo 2026 00:00:00 GMT',
    'Thu, 01 Jan 1970 00:00:00 GMT',
    'not before 2099',
  ])('of "%s" is ignored', async value => {
    expect(await retryAfter(value)).toBeUndefined();
  });

  it('is absent from an error when the workspace gave none', async () => {
    const error = await failureWith('credentials', { status: 429 });
    expect(error.retryAfterMs).toBeUndefined();
  });
});

describe('a successful reply of the wrong shape', () => {
  const wholes: [string, unknown][] = [
    ['an HTML page', LOGIN_PAGE],
    ['truncated JSON', `{"token":"${SAID}","access_token":"${SAID}","expi`],
    ['an empty body', ''],
    ['blanks', ' \r\n '],
    ['plain text', SAID],
    ['JSON null', 'null'],
    ['a JSON array', `["${SAID}"]`],
    ['a JSON number', '471147114711'],
    ['a JSON string', `"${SAID}"`],
    ['JSON true', 'true'],
    ['an empty object', '{}'],
    ['the body of an error', JSON.stringify(apiBody('PERMISSION_DENIED'))],
    ['a gigantic page', `<html>${SAID.repeat(500_000)}`],
  ];

  async function expectUnusable(route: Route, fault: Fault) {
    emulator.controlPlane.answer(route, fault);
    const call =
      route === 'endpoint' ? workspace.findHost() : workspace.mintCredential();
    const error = await catchFailure(call, secrets);

    expect(error.code).toBe('workspace-reply-invalid');
    expect(error.permanent).toBe(false);
    expect(error.message).toContain(emulator.controlPlane.url);
    expect(error.message.length).toBeLessThan(1_000);
    return error;
  }

  it.each(
    (['token', 'credentials', 'endpoint'] as const).flatMap(route =>
      wholes.map(([name, body]) => [route, name, body] as const),
    ),
  )('by %s is refused and not repeated: %s', async (route, _, body) => {
    const error = await expectUnusable(route, { body });

    expect(everythingIn(error)).not.toContain('471147114711');
  });

  it.each<[string, object]>([
    ['an empty token', { token: '' }],
    ['a number as token', { token: 471147114711 }],
    ['null as token', { token: null }],
    ['no token', { token: undefined }],
    ['a list of tokens', { token: [SAID] }],
    ['no expire_time', { expire_time: undefined }],
    ['an expire_time in the past', { expire_time: '2020-01-01T00:00:00Z' }],
    ['NaN as expire_time', { expire_time: 'NaN' }],
    ['null as expire_time', { expire_time: null }],
    ['a word as expire_time', { expire_time: SAID }],
    ['an empty expire_time', { expire_time: '' }],
    ['a number as expire_time', { expire_time: 4_102_444_800 }],
    ['a day that does not exist', { expire_time: '2099-02-30T00:00:00Z' }],
    ['an expire_time without a zone', { expire_time: '2099-01-01T00:00:00' }],
  ])('by credentials is refused and not repeated: %s', async (_, change) => {
    const error = await expectUnusable('credentials', {
      change: (body: { token: string }) => {
        secrets.push(body.token);
        return { ...body, ...change };
      },
    });

    expect(everythingIn(error)).not.toContain('471147114711');
    expect(error.message).toMatch(/token|expire_time/);
  });

  it.each<[string, object]>([
    ['an empty access_token', { access_token: '' }],
    ['a number as access_token', { access_token: 471147114711 }],
    ['null as access_token', { access_token: null }],
    ['no access_token', { access_token: undefined }],
    ['no expires_in', { expires_in: undefined }],
    ['null as expires_in', { expires_in: null }],
    ['zero as expires_in', { expires_in: 0 }],
    ['less than zero as expires_in', { expires_in: -3600 }],
    ['NaN as expires_in', { expires_in: 'NaN' }],
    ['a word as expires_in', { expires_in: SAID }],
    ['true as expires_in', { expires_in: true }],
    ['a list as expires_in', { expires_in: [3600] }],
  ])('by token is refused and not repeated: %s', async (_, change) => {
    const error = await expectUnusable('token', {
      change: (body: { access_token: string }) => {
        secrets.push(body.access_token);
        return { ...body, ...change };
      },
    });

    expect(everythingIn(error)).not.toContain('471147114711');
    expect(error.message).toMatch(/access_token|expires_in/);
    expect(callsMade()).toEqual(['token']);
  });

  it.each<[string, object]>([
    ['no status', {}],
    ['no hosts', { status: { current_state: SAID } }],
    ['hosts without the one for writing', { status: { hosts: { ro: SAID } } }],
    ['an empty host', { status: { hosts: { host: '' } } }],
    ['a number as host', { status: { hosts: { host: 471147114711 } } }],
  ])('by endpoint is refused and not repeated: %s', async (_, body) => {
    const error = await expectUnusable('endpoint', { body });

    expect(everythingIn(error)).not.toContain('471147114711');
    expect(error.message).toContain('status');
  });

  it('does not keep the next one from being taken', async () => {
    emulator.controlPlane.answer('credentials', { body: '' });
    await catchFailure(workspace.mintCredential(), secrets);
    emulator.controlPlane.recover('credentials');

    await expect(workspace.mintCredential()).resolves.toBeDefined();
    expect(callsMade()).toEqual(['token', 'credentials', 'credentials']);
  });

  it('is not a large one with fields that nobody knows', async () => {
    emulator.controlPlane.answer('credentials', {
      change: (body: object) => ({ ...body, padding: SAID.repeat(2_000) }),
    });

    await expect(workspace.mintCredential()).resolves.toBeDefined();
  });
});

describe('a redirect', () => {
  let elsewhere: ScriptedServer;

  beforeEach(async () => {
    elsewhere = await ScriptedServer.start();
  });
  afterEach(() => elsewhere.stop());

  it.each([
    ['token', 307],
    ['token', 308],
    ['token', 302],
    ['credentials', 307],
    ['credentials', 308],
    ['credentials', 303],
    ['endpoint', 307],
    ['endpoint', 301],
  ] as const)('by %s with HTTP %i is not followed', async (route, status) => {
    const path = '/login.html?error=private-link-validation-error';
    emulator.controlPlane.answer(route, {
      status,
      headers: { Location: elsewhere.url + path },
      body: LOGIN_PAGE,
    });
    const call =
      route === 'endpoint' ? workspace.findHost() : workspace.mintCredential();
    const error = await catchFailure(call, secrets);

    expect(error.code).toBe('workspace-redirected');
    expect(error.permanent).toBe(true);
    expect(error.message).toContain(HOST_KEY);
    expect(elsewhere.connections).toBe(0);
    expect(callsMade().at(-1)).toBe(route);
  });

  it('to another path of the workspace is not followed either', async () => {
    await failureWith('credentials', {
      status: 307,
      headers: { Location: '/api/2.0/preview/scim/v2/Me' },
      body: '',
    });

    expect(callsMade()).toEqual(['token', 'credentials']);
  });
});

describe('a workspace that cannot be reached', () => {
  let server: ScriptedServer;

  beforeEach(async () => {
    server = await ScriptedServer.start();
    workspace = createWorkspaceAt(server.url);
    secrets = [...secretsOf(CLIENT), ACCESS_TOKEN];
  });
  afterEach(() => server.stop());

  async function expectUnreachable(call: Promise<unknown>) {
    const error = await catchFailure(call, secrets);

    expect(error.code).toBe('workspace-unreachable');
    expect(error.permanent).toBe(false);
    expect(error.message).toContain(HOST_KEY);
    return error;
  }

  it('because nothing listens there is tried again', async () => {
    const gone = await ScriptedServer.start();
    const { url } = gone;
    await gone.stop();

    const error = await expectUnreachable(
      createWorkspaceAt(url).mintCredential(),
    );

    expect(error.message).toContain('ECONNREFUSED');
    expect(error.message).toContain(url);
  });

  it.each(['token', 'credentials'] as const)(
    'because it resets the %s call is tried again, by the caller only',
    async route => {
      workspace = createWorkspace(emulator);
      emulator.controlPlane.answer(route, { reset: true });

      await expectUnreachable(workspace.mintCredential());

      expect(callsMade().filter(made => made === route)).toHaveLength(1);
    },
  );

  it('because it hangs up within its reply is tried again', async () => {
    server.api = response => {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write('{"token":', () => response.destroy());
    };

    await expectUnreachable(workspace.mintCredential());
  });

  /** Says nothing, or never comes to an end; tells when it has begun to. */
  const silence =
    (begun: () => void): Answer =>
    () =>
      begun();
  const trickle =
    (begun: () => void): Answer =>
    response => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(' '.repeat(512 * 1024), begun);
      const timer = setInterval(() => response.write(' '), 1);
      response.once('close', () => clearInterval(timer));
    };

  it.each([
    ['token', 'says nothing', silence],
    ['token', 'trickles', trickle],
    ['api', 'says nothing', silence],
    ['api', 'trickles', trickle],
  ] as const)(
    'because its %s %s is given up after 10 s in all',
    async (kind, _, answer) => {
      fakeOnly('timeouts');
      let over = false;
      let failure: Promise<LakebaseError>;
      await new Promise<void>(begun => {
        server[kind] = answer(begun);
        const call = workspace.mintCredential().finally(() => (over = true));
        failure = expectUnreachable(call);
      });

      for (let waited = 0; waited < 9_900; waited += 100) {
        jest.advanceTimersByTime(100);
        await new Promise(setImmediate);
      }
      expect(over).toBe(false);
      jest.advanceTimersByTime(100);

      const error = await failure!;
      expect(error.message).toContain('10 s');
      expect(jest.getTimerCount()).toBe(0);
      await server.idle();
    },
  );

  it('leaves no timer behind, whatever it did', async () => {
    fakeOnly('timeouts');
    server.api = json({ status: { hosts: { host: 'ep.example.com' } } });

    await workspace.findHost();
    await catchFailure(workspace.mintCredential(), secrets);

    expect(jest.getTimerCount()).toBe(0);
  });

  it.each([
    ['says nothing', silence],
    ['trickles', trickle],
  ])('because it %s is given up at once on demand', async (_, answer) => {
    const controller = new AbortController();
    let failure: Promise<LakebaseError>;
    await new Promise<void>(begun => {
      server.api = answer(begun);
      failure = expectUnreachable(workspace.mintCredential(controller.signal));
    });

    controller.abort();

    await failure!;
    await server.idle();
  });

  it('is not said to have been silent for 10 s when its caller gave up', async () => {
    const controller = new AbortController();
    server.api = () => controller.abort();

    const error = await expectUnreachable(
      workspace.findHost(controller.signal),
    );

    expect(error.message).not.toContain('10 s');
  });

  it('does not hold up a caller who gives up while the access token is fetched', async () => {
    const controller = new AbortController();
    server.token = () => controller.abort();

    await catchFailure(workspace.mintCredential(controller.signal), secrets);

    workspace.stop();
    await server.idle();
  });

  it('is not called for a caller who has given up before', async () => {
    const signal = AbortSignal.abort();

    await catchFailure(workspace.mintCredential(signal), secrets);
    await catchFailure(workspace.findHost(signal), secrets);
    expect(server.requests).toEqual([]);

    server.api = json({ status: { hosts: { host: 'ep.example.com' } } });
    await workspace.findHost();
    await catchFailure(workspace.findHost(signal), secrets);
    expect(server.requests).toHaveLength(3);
  });

  it('does not hold up a shutdown', async () => {
    server.token = () => workspace.stop();

    const error = await catchFailure(workspace.mintCredential(), secrets);

    expect(error.code).toBe('stopped');
    await server.idle();
    const later = await catchFailure(workspace.mintCredential(), secrets);
    expect(later.code).toBe('stopped');
    expect(server.requests).toHaveLength(1);
  });
});

describe('a workspace that repeats what it was sent', () => {
  let server: ScriptedServer;

  beforeEach(async () => {
    server = await ScriptedServer.start();
  });
  afterEach(() => server.stop());

  /** What came with the request: the secret, or the access token. */
  const heard = ({ headers }: ReceivedRequest) => {
    const [scheme, value] = headers.authorization!.split(' ');
    if (scheme !== 'Basic') return value;
    const decoded = Buffer.from(value, 'base64').toString();
    return decoded.split(':')[1];
  };
  const send = (response: ServerResponse, status: number, body: unknown) =>
    response
      .writeHead(status)
      .end(typeof body === 'string' ? body : JSON.stringify(body));

  const echoes: [string, (said: string) => [status: number, body: unknown]][] =
    [
      ['in a message', said => [403, apiBody('PERMISSION_DENIED', said)]],
      ['as the error code', said => [400, { error_code: said }]],
      ['as the error', said => [401, { error: said }]],
      ['as the request id', said => [503, { request_id: said }]],
      ['as the trace id', said => [500, `[TraceId: ${said}]`]],
      ['as a code in plain text', said => [403, `${said}: denied`]],
      ['on a page', said => [404, `<pre>${said}</pre>`]],
      ['on the page of a success', said => [200, `<pre>${said}</pre>`]],
      ['within the fields of a success', said => [200, { token: [said] }]],
      ['as the name of a field', said => [200, { [said]: said }]],
    ];

  // The forms that Databricks gives to secrets and to its two kinds of tokens.
  const values = [
    'dose0123456789abcdef0123456789abcdef',
    'dapi0123456789abcdef0123456789abcdef',
    'eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl',
  ];

  it.each(
    echoes.flatMap(([place, echo]) =>
      values.map(value => [place, value, echo] as const),
    ),
  )(
    '%s gets neither secret nor token into an error: %s',
    async (_, value, echo) => {
      const echoing: Answer = (response, request) =>
        send(response, ...echo(heard(request)));

      server.token = echoing;
      const client = { ...CLIENT, clientSecret: value };
      await catchFailure(
        createWorkspaceAt(server.url, client).mintCredential(),
        [...secretsOf(client)],
      );

      server.token = json({ access_token: value, expires_in: 3600 });
      server.api = echoing;
      await catchFailure(createWorkspaceAt(server.url).mintCredential(), [
        value,
        ...secretsOf(CLIENT),
      ]);
      await catchFailure(createWorkspaceAt(server.url).findHost(), [value]);
    },
  );

  it('in a redirect gets neither secret nor token into an error', async () => {
    const echoing: Answer = (response, request) => {
      const location = `${server.url}/login?${heard(request)}`;
      response.writeHead(307, heard(request), { location }).end();
    };

    server.token = echoing;
    await catchFailure(
      createWorkspaceAt(server.url).mintCredential(),
      secretsOf(CLIENT),
    );

    server.token = json({ access_token: ACCESS_TOKEN, expires_in: 3600 });
    server.api = echoing;
    await catchFailure(createWorkspaceAt(server.url).mintCredential(), [
      ACCESS_TOKEN,
    ]);
  });
});
