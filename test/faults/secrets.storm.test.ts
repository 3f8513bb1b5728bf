import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import type { Knex } from 'knex';
import { Client } from 'pg';
import type { Emulator } from '../../emulator';
import { everythingIn } from '../support/everythingIn';
import {
  killSessions,
  lakebaseTests,
  queryInParallel,
  type TestLakebase,
} from '../support/lakebase';

const start = lakebaseTests();
const settings = {
  pluginDivisionMode: 'schema',
  lakebase: { connectTimeout: '2s' },
};

afterEach(() => jest.restoreAllMocks());

function expectNoSecret(seen: string, { servicePrincipal }: Emulator): void {
  // Credentials and workspace tokens of the emulator.
  expect(seen).not.toMatch(/eyJ[\w-]{10,}/);
  expect(seen).not.toContain(servicePrincipal.clientSecret);
  const { clientId, clientSecret } = servicePrincipal;
  const basic = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');
  expect(seen).not.toContain(basic);
}

type Storm = (emulator: Emulator) => void;

const STORMS: [string, Storm][] = [
  [
    'a credential is revoked and the next one refused',
    ({ gateway }) => {
      gateway.revokeTokens();
      gateway.refuseNext('wrongIdentity', { times: Infinity });
    },
  ],
  [
    'the workspace gives a credential without a valid end',
    ({ gateway, controlPlane }) => {
      controlPlane.answer('credentials', {
        change: (body: object) => ({ ...body, expire_time: 'tomorrow' }),
      });
      gateway.revokeTokens();
    },
  ],
  [
    'the workspace sends its tokens back in an error',
    ({ gateway, controlPlane, servicePrincipal }) => {
      const message = `eyJhbGciOiJub25lIn0 ${servicePrincipal.clientSecret}`;
      controlPlane.revokeWorkspaceTokens();
      controlPlane.answer('token', {
        status: 400,
        body: { error: message, error_description: message },
      });
      gateway.revokeTokens();
    },
  ],
  [
    'the workspace resets connections',
    ({ gateway, controlPlane }) => {
      controlPlane.answer('credentials', { reset: true });
      gateway.revokeTokens();
    },
  ],
  [
    'the workspace does not answer',
    ({ gateway, controlPlane }) => {
      controlPlane.answer('credentials', { hang: true });
      gateway.revokeTokens();
    },
  ],
  [
    'the server breaks off within the login',
    ({ gateway }) => {
      gateway.on('attempt', () => void gateway.dropConnections('reset'));
    },
  ],
];

/** What a query fails with whose connection has to be made in the storm. */
async function errorIn(
  storm: Storm,
  emulator: Emulator,
  knex: Knex,
): Promise<unknown> {
  await killSessions(emulator, knex);
  storm(emulator);
  return knex.raw('select 1').then(
    () => {
      throw new Error('Expected a failure');
    },
    (error: unknown) => error,
  );
}

/** Everything that a process can say without being asked. */
function listenToOutput(): () => string {
  const said: unknown[] = [];
  const keep = (...args: unknown[]) => {
    said.push(...args);
    return true;
  };
  for (const stream of [process.stdout, process.stderr]) {
    jest.spyOn(stream, 'write').mockImplementation(keep);
  }
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    jest.spyOn(console, method).mockImplementation(keep);
  }
  jest.spyOn(process, 'emitWarning').mockImplementation(keep);
  return () => inspect(said, { depth: 8, maxStringLength: null });
}

/** What plugins and their tools may listen to. */
function listenToKnex(knex: Knex): () => string {
  const heard: string[] = [];
  const { pool } = knex.client as { pool: NodeJS.EventEmitter };
  const note = (...args: unknown[]) => {
    heard.push(...args.map(everythingIn));
  };
  for (const event of ['start', 'query', 'query-response', 'query-error']) {
    knex.on(event, note);
  }
  for (const event of [
    ...['acquireRequest', 'acquireSuccess', 'acquireFail'],
    ...['createRequest', 'createSuccess', 'createFail', 'destroyRequest'],
  ]) {
    pool.on(event, note);
  }
  return () => heard.join('\n');
}

async function startWithClient() {
  const emulator = await start.emulator();
  const lakebase = start.lakebase(emulator, settings);
  const knex = await lakebase.getClient('catalog');
  return { emulator, lakebase, knex };
}

const everyLineOf = ({ lines }: TestLakebase) =>
  lines.map(({ message }) => message).join('\n');

describe.each(STORMS)('%s', (_, storm) => {
  it('no log, error, output or event tells a token or the secret', async () => {
    const { emulator, lakebase, knex } = await startWithClient();
    const output = listenToOutput();
    const events = listenToKnex(knex);

    const error = await errorIn(storm, emulator, knex);

    const seen = [everyLineOf(lakebase), everythingIn(error), events()];
    expect(seen[2]).toContain('Error');
    expectNoSecret([...seen, output()].join('\n'), emulator);
  });
});

describe('the portal is traced', () => {
  it('no HTTP call and no statement shows a token or the secret', async () => {
    const calls: string[] = [];
    const onRequest = (message: unknown) => {
      const { request } = message as { request: Record<string, string> };
      // What is in a span: headers are not, unless somebody asks for them.
      calls.push(`${request.method} ${request.origin}${request.path}`);
    };
    subscribe('undici:request:create', onRequest);
    const query = jest.spyOn(Client.prototype, 'query');

    const { emulator, knex } = await startWithClient();
    await knex.transaction(tx => queryInParallel(tx, 2));
    emulator.gateway.revokeTokens();
    await killSessions(emulator, knex);
    await knex.raw('select ?', ['a value']);
    unsubscribe('undici:request:create', onRequest);

    const spans = [
      ...calls,
      JSON.stringify(query.mock.calls.map(([statement]) => statement)),
      ...query.mock.contexts.map(client =>
        inspect(client, { depth: 8, showHidden: true, maxStringLength: null }),
      ),
    ].join('\n');
    expect(calls.length).toBeGreaterThanOrEqual(4);
    expect(spans).toContain('a value');
    expectNoSecret(spans, emulator);
  });
});
