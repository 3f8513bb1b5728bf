import type { Fault } from '../../emulator';
import { FakeClock, passTime } from '../../testbed/fakeClock';
import {
  killSessions,
  lakebaseTests,
  queryInParallel,
  type LogLine,
} from '../support/lakebase';
import { liveThrough, mintAnswered } from '../support/liveThrough';
import { passedOn } from '../support/passedOn';
import { HOUR, MINUTE, SECOND } from '../../testbed/durations';
import { ScriptedServer } from '../support/scriptedServer';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };
const impatient = {
  ...schemaMode,
  lakebase: { connectTimeout: { seconds: 1 } },
};

/** What the operator reads: all but what is for debugging. */
const newsIn = (lines: LogLine[]) =>
  lines.filter(({ level }) => level !== 'debug').map(({ message }) => message);

/** A portal that has used its database. */
async function startPortal(settings: object = schemaMode) {
  const emulator = await start.emulator();
  const clock = new FakeClock();
  const lakebase = start.lakebase(emulator, { ...settings }, { clock });
  const knex = await lakebase.getClient('catalog');
  return { emulator, clock, lakebase, knex };
}

describe('the workspace does not mint', () => {
  it('and no query and no new connection notices while the credential is valid', async () => {
    const { emulator, clock, knex } = await startPortal();
    const { controlPlane, gateway } = emulator;
    controlPlane.answer('credentials', { status: 503 });

    for (let minute = 0; minute < 55; minute += 11) {
      await liveThrough(emulator, clock, 11 * MINUTE);
      await killSessions(emulator, knex);
      await queryInParallel(knex, 3);
    }

    expect(gateway.refusals).toEqual([]);
    expect(controlPlane.count('credentials', { status: 200 })).toBe(1);
    // In half an hour, a minute apart at most.
    expect(controlPlane.count('credentials')).toBeGreaterThan(30);
    expect(controlPlane.count('credentials')).toBeLessThan(100);
  });

  it('and past the end of the credential open connections go on, and a new one fails with the cause', async () => {
    const { emulator, clock, knex } = await startPortal(impatient);
    emulator.controlPlane.answer('credentials', { status: 503 });
    const transaction = await knex.transaction();

    await liveThrough(emulator, clock, 2 * HOUR);

    // The only one in the pool is taken.
    const another = expect(knex.raw('select 1')).rejects.toMatchObject({
      code: 'connect-timeout',
      message: expect.stringContaining('HTTP 503') as string,
    });
    await liveThrough(emulator, clock, SECOND);
    await another;
    await expect(transaction.raw('select 1')).resolves.toBeDefined();
    await transaction.commit();
    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.gateway.logins).toHaveLength(1);
  });

  it('and past the end of the credential a new connection opens as soon as it mints again', async () => {
    const { emulator, clock, knex } = await startPortal();
    emulator.controlPlane.answer('credentials', { status: 503 });
    const transaction = await knex.transaction();
    await liveThrough(emulator, clock, 2 * HOUR);

    const another = knex.raw('select 1').then();
    await liveThrough(emulator, clock, 30 * SECOND);
    emulator.controlPlane.recover();
    // The longest pause while somebody waits.
    await liveThrough(emulator, clock, 5 * SECOND);

    await expect(another).resolves.toBeDefined();
    await transaction.commit();
    expect(emulator.gateway.logins).toHaveLength(2);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('and the operator reads it once, and once that it is over', async () => {
    const { emulator, clock, lakebase } = await startPortal();
    emulator.controlPlane.answer('credentials', { status: 503 });
    await liveThrough(emulator, clock, 2 * HOUR);
    emulator.controlPlane.recover();
    await liveThrough(emulator, clock, MINUTE);

    expect(newsIn(lakebase.lines)).toEqual([
      expect.stringMatching(/fails.*serves new connections for \d+ min more/),
      expect.stringMatching(/no longer valid.*Open connections go on/),
      expect.stringMatching(/works again/),
    ]);
  });
});

describe('the workspace says when to come back', () => {
  it('and is not asked before', async () => {
    const { emulator, clock, knex } = await startPortal();
    const { controlPlane } = emulator;
    const headers = { 'Retry-After': '120' };
    controlPlane.answer('credentials', { status: 429, headers });
    while (controlPlane.count('credentials') < 2) {
      await liveThrough(emulator, clock, 5 * SECOND);
    }

    await liveThrough(emulator, clock, 110 * SECOND);
    expect(controlPlane.count('credentials')).toBe(2);
    await liveThrough(emulator, clock, 20 * MINUTE);

    expect(controlPlane.count('credentials')).toBeLessThanOrEqual(2 + 10);
    expect(controlPlane.count('credentials')).toBeGreaterThan(5);
    await killSessions(emulator, knex);
    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });
});

describe('the workspace fails for a moment', () => {
  it('in one way after another, at the very start, and the plugin starts', async () => {
    const emulator = await start.emulator();
    const { controlPlane } = emulator;
    for (const fault of [{ status: 500 }, { reset: true }, { status: 502 }]) {
      controlPlane.answer('credentials', fault as Fault, { times: 1 });
    }
    controlPlane.answer('token', { status: 503 }, { times: 1 });
    const clock = new FakeClock();
    const lakebase = start.lakebase(emulator, schemaMode, { clock });

    const client = lakebase.getClient('catalog');
    await liveThrough(emulator, clock, 20 * SECOND);

    await expect((await client).raw('select 1')).resolves.toBeDefined();
    expect(controlPlane.count('credentials')).toBe(4);
    expect(controlPlane.count('credentials', { status: 200 })).toBe(1);
  });
});

describe('the workspace takes the call and never answers', () => {
  let server: ScriptedServer;

  beforeEach(async () => {
    server = await ScriptedServer.start();
  });
  afterEach(() => server.stop());

  it('and is hung up on and asked again, while the credential in memory serves', async () => {
    const emulator = await start.emulator();
    const passing = passedOn(emulator);
    server.token = server.api = passing;
    const clock = new FakeClock();
    const workspace = { host: server.url };
    const settings = { ...schemaMode, lakebase: { workspace } };
    const lakebase = start.lakebase(emulator, settings, { clock });
    const knex = await lakebase.getClient('catalog');
    const taken = new Promise<void>(resolve => (server.api = () => resolve()));

    await passTime(emulator, clock, 26 * MINUTE);
    await taken;
    await clock.advance(10 * SECOND);
    await mintAnswered(clock);
    await server.idle();

    await killSessions(emulator, knex);
    await knex.raw('select 1');
    expect(emulator.controlPlane.count('credentials')).toBe(1);
    server.api = passing;
    await liveThrough(emulator, clock, MINUTE);
    expect(emulator.controlPlane.count('credentials')).toBe(2);
  });

  it('and 50 plugins that wait all fail by their deadline, with no socket opened', async () => {
    const emulator = await start.emulator();
    const { controlPlane, gateway } = emulator;
    controlPlane.answer('credentials', { hang: true });
    const dialled = jest.fn();
    gateway.on('connection', dialled);
    const clock = new FakeClock();
    const lakebase = start.lakebase(emulator, impatient, { clock });
    const asked = controlPlane.once('credentials', 'received');

    const plugins = Array.from({ length: 50 }, (_, i) => `plugin${i}`);
    const ended = Promise.allSettled(plugins.map(id => lakebase.getClient(id)));
    await asked;
    await clock.advance(SECOND);
    const outcomes = await ended;

    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'connect-timeout' },
      });
    }
    expect(controlPlane.count('credentials')).toBe(1);
    expect(dialled).not.toHaveBeenCalled();
  });
});
