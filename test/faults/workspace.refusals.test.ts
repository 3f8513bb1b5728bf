import type { Emulator, EmulatorOptions } from '../../emulator';
import { FakeClock } from '../../testbed/fakeClock';
import { killSessions, lakebaseTests } from '../support/lakebase';
import { liveThrough } from '../support/liveThrough';
import { HOUR, MINUTE } from '../../testbed/durations';

const start = lakebaseTests();

async function startPortal(options: Partial<EmulatorOptions> = {}) {
  const emulator = await start.emulator(options);
  const clock = new FakeClock();
  const settings = { pluginDivisionMode: 'schema' };
  const lakebase = start.lakebase(emulator, settings, { clock });
  const knex = await lakebase.getClient('catalog');
  const news = () => lakebase.lines.filter(({ level }) => level !== 'debug');
  return { emulator, clock, knex, news };
}

type Refuse = (emulator: Emulator) => void;

const expireSecret: Refuse = ({ controlPlane }) => {
  controlPlane.revokeWorkspaceTokens();
  controlPlane.answer('token', { status: 401 });
};

const takeGrant: Refuse = ({ controlPlane }) =>
  controlPlane.answer('credentials', { status: 403 });

const dropEndpoint: Refuse = ({ controlPlane }) =>
  controlPlane.answer('credentials', { status: 404 });

describe.each<[string, Refuse, code: RegExp, remedy: RegExp]>([
  ['the client secret has expired', expireSecret, /HTTP 401/, /clientSecret/],
  ['the grant is taken away', takeGrant, /HTTP 403/, /CAN USE/],
  ['the endpoint is gone', dropEndpoint, /HTTP 404/, /lakebase\.endpoint/],
])('%s', (_, refuse, status, remedy) => {
  it('and the operator reads once what to do, while the portal goes on', async () => {
    const { emulator, clock, knex, news } = await startPortal();
    refuse(emulator);

    await liveThrough(emulator, clock, 55 * MINUTE);

    await killSessions(emulator, knex);
    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(news()).toEqual([
      { level: 'error', message: expect.stringMatching(status) as string },
    ]);
    expect(news()[0].message).toMatch(remedy);
  });

  it('and the workspace is asked every few minutes only, until somebody has cured it', async () => {
    const { emulator, clock, knex, news } = await startPortal();
    const { controlPlane } = emulator;
    refuse(emulator);
    await liveThrough(emulator, clock, 2 * HOUR);
    const { length } = controlPlane.calls;
    // From the 25th minute on, every 3.75 minutes; two calls an attempt.
    expect(length).toBeLessThan(2 * 28);

    controlPlane.recover();
    await liveThrough(emulator, clock, 5 * MINUTE);

    expect(controlPlane.calls.length - length).toBeLessThanOrEqual(3);
    expect(news().at(-1)!.message).toMatch(/works again/);
    await killSessions(emulator, knex);
    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.gateway.refusals).toEqual([]);
  });
});

describe('the workspace forgets its tokens', () => {
  it('and the next mint gets a new one, once, and is none the worse', async () => {
    // So that none is renewed for its age.
    const { emulator, clock, knex, news } = await startPortal({
      workspaceTokenLifeMs: 4 * HOUR,
    });
    const { controlPlane } = emulator;
    controlPlane.revokeWorkspaceTokens();

    await liveThrough(emulator, clock, 30 * MINUTE);

    expect(controlPlane.count('token')).toBe(2);
    expect(controlPlane.count('credentials')).toBe(3);
    expect(controlPlane.count('credentials', { status: 401 })).toBe(1);
    expect(news()).toEqual([]);
    await killSessions(emulator, knex);
    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });
});
