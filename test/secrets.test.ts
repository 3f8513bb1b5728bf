import { inspect } from 'node:util';
import type { Knex } from 'knex';
import { Client } from 'pg';
import { MINUTE } from '../testbed/durations';
import { FakeClock } from '../testbed/fakeClock';
import { liveThrough } from './support/liveThrough';
import {
  freeConnections,
  killSessions,
  lakebaseTests,
  queryInParallel,
} from './support/lakebase';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

/** Database credentials and workspace tokens of the emulator are JWTs. */
const TOKEN = /eyJ[\w-]{10,}/;

function everyView(value: unknown): string {
  const views = [
    inspect(value, { depth: 12, showHidden: true, maxArrayLength: null }),
    inspect(value, { depth: 12, getters: false }),
  ];
  try {
    views.push(JSON.stringify(value) ?? '');
  } catch {
    // Circular, so that nobody can log it this way.
  }
  return views.join('\n');
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('Expected a failure');
    },
    error => error as unknown,
  );
}

describe('no token and no secret', () => {
  it('is in a client, its configuration or its connections', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');
    await queryInParallel(knex, 3);
    const client = knex.client as {
      config: Knex.Config;
      connectionSettings: object;
      acquireRawConnection(): Promise<Client>;
    };
    const raw = await client.acquireRawConnection();

    const seen = [
      knex,
      knex.client,
      client.config,
      client.connectionSettings,
      raw,
      ...freeConnections(knex),
      ...[raw, ...freeConnections(knex)].map(
        connection =>
          (connection as Client & { connectionParameters: object })
            .connectionParameters,
      ),
    ]
      .map(everyView)
      .join('\n');
    await raw.end();

    expect(seen).not.toMatch(TOKEN);
    expect(seen).not.toContain(emulator.servicePrincipal.clientSecret);
  });

  it('is in the log at any level, or in an error, through refusals and outages', async () => {
    const emulator = await start.emulator({ credentialLifeMs: 3_000 });
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { connectTimeout: { seconds: 1 } },
    });
    const knex = await lakebase.getClient('catalog');
    const errors: unknown[] = [];

    emulator.gateway.revokeTokens();
    await killSessions(emulator, knex);
    await knex.raw('select 1');

    emulator.gateway.refuseNext('wrongIdentity', { times: Infinity });
    await killSessions(emulator, knex);
    errors.push(await failure(knex.raw('select 1').then()));
    emulator.gateway.refuseNoMore();

    emulator.controlPlane.answer('credentials', {
      status: 403,
      body: { error_code: 'PERMISSION_DENIED', message: 'eyJhbGciOiJub25lIn0' },
    });
    emulator.gateway.revokeTokens();
    errors.push(await failure(knex.raw('select 1').then()));

    const seen = [lakebase.lines, ...errors].map(everyView).join('\n');
    expect(seen).not.toMatch(TOKEN);
    expect(seen).not.toContain(emulator.servicePrincipal.clientSecret);
    expect(lakebase.lines.map(({ level }) => level)).toContain('debug');
  });

  it('is left in a connection after its login', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');

    const [connection] = freeConnections(knex) as (Client & {
      password: unknown;
      connectionParameters: { password: unknown };
    })[];

    expect(connection.password).toBeNull();
    expect(connection.connectionParameters.password).toBeNull();
  });

  it('comes from PGPASSWORD or goes there', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    await lakebase.getClient('catalog');

    expect(JSON.stringify(process.env)).not.toMatch(TOKEN);
  });
});

describe('what is logged', () => {
  it('is each state change once', async () => {
    const emulator = await start.emulator();
    const clock = new FakeClock();
    const lakebase = start.lakebase(emulator, schemaMode, { clock });
    await lakebase.getClient('catalog');

    emulator.controlPlane.answer('credentials', { status: 503 }, { times: 3 });
    await liveThrough(emulator, clock, 55 * MINUTE);

    expect(emulator.controlPlane.count('credentials')).toBe(6);
    const changes = lakebase.lines.filter(({ level }) => level !== 'debug');
    expect(changes).toEqual([
      {
        level: 'warn',
        message: expect.stringContaining('HTTP 503') as string,
      },
      {
        level: 'info',
        message: `Minting Lakebase credentials for ${emulator.endpoint} works again`,
      },
    ]);
  });
});
