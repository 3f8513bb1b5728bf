import { CredentialLog } from '../src/credentialLog';
import { explainRefreshFault } from '../src/databricks/credentialFaults';
import { LakebaseError } from '../src/errors';
import { TokenRefresher } from '../src/tokenRefresher';
import { HOUR, MINUTE, SECOND } from '../testbed/durations';
import { FakeClock } from '../testbed/fakeClock';
import { keepingLogger, killSessions, lakebaseTests } from './support/lakebase';
import { busy, FakeMint, refused } from './support/refresher';

/** A refresher, and what an operator reads of it but for debug lines. */
function logged() {
  const clock = new FakeClock();
  const mint = new FakeMint(clock, HOUR);
  const { logger, lines } = keepingLogger();
  const refresher = new TokenRefresher({
    mint: mint.attempt,
    explain: explainRefreshFault,
    listeners: [new CredentialLog(logger, 'projects/p')],
    clock,
  });
  const read = () => lines.filter(({ level }) => level !== 'debug');
  return { clock, mint, refresher, lines, read };
}

async function startLogged() {
  const parts = logged();
  parts.refresher.start();
  await parts.clock.advance(0);
  return parts;
}

const line = (level: string, pattern: RegExp) => ({
  level,
  message: expect.stringMatching(pattern) as string,
});

const FAILS = /^Minting Lakebase credentials for projects\/p fails, /;
const WORKS = /^Minting Lakebase credentials for projects\/p works again$/;
const RAN_OUT =
  /^The last of the Lakebase credentials for projects\/p is no longer valid/;
const HTTP_403 = new LakebaseError('permission-denied', {
  problem: 'HTTP 403',
});

describe('the operator reads', () => {
  it('nothing while minting works, but for how long each credential lives', async () => {
    const { lines } = await startLogged();

    expect(lines).toEqual([
      line('debug', /projects\/p that lives 60 min, next refresh in 25 min$/),
    ]);
  });

  it('once that minting fails, with the time left, and once that it works', async () => {
    const { clock, mint, read } = await startLogged();
    mint.failsWith(busy());
    await clock.advance(40 * MINUTE);
    expect(mint.count).toBeGreaterThan(10);
    expect(read()).toEqual([
      line('warn', /fails, and is tried again\. .*serves.* 34 min more\. /),
    ]);

    mint.givesTokensFor(HOUR);
    await clock.advance(HOUR);
    expect(read()).toEqual([line('warn', FAILS), line('info', WORKS)]);
  });

  it('once of a refusal, however often it is repeated', async () => {
    const { refresher, clock, mint, read } = logged();
    mint.failsWith(refused());
    refresher.start();
    await clock.advance(HOUR);

    expect(mint.count).toBeGreaterThan(12);
    expect(read()).toEqual([
      line('error', /somebody has to act.*new ones cannot be opened.*HTTP 401/),
    ]);
  });

  it('that one refusal turned into another', async () => {
    const { refresher, clock, mint, read } = logged();
    mint.failsWith(refused());
    refresher.start();
    await clock.advance(20 * MINUTE);
    mint.failsWith(HTTP_403);
    await clock.advance(20 * MINUTE);

    expect(read()).toEqual([line('error', /401/), line('error', /403/)]);
  });

  it('that an outage turned into a refusal, and back', async () => {
    const { refresher, clock, mint, read } = logged();
    mint.failsWith(busy());
    refresher.start();
    await clock.advance(20 * SECOND);
    mint.failsWith(refused());
    await clock.advance(MINUTE);
    mint.failsWith(busy());
    await clock.advance(10 * MINUTE);

    expect(read()).toEqual([
      line('error', /503/),
      line('error', /401/),
      line('error', /503/),
    ]);
  });

  it('of the next outage after a recovery', async () => {
    const { clock, mint, read } = await startLogged();
    for (let outage = 1; outage <= 2; outage++) {
      mint.failsWith(busy());
      await clock.advance(40 * MINUTE);
      mint.givesTokensFor(HOUR);
      await clock.advance(2 * MINUTE);
    }

    const outage = [line('warn', FAILS), line('info', WORKS)];
    expect(read()).toEqual([...outage, ...outage]);
  });
});

describe('the end of the last credential', () => {
  it.each([
    ['the workspace is down', 'warn', busy],
    ['the secret is refused', 'error', refused],
  ])('is logged once while %s', async (_, level, error) => {
    const { clock, mint, read } = await startLogged();
    mint.failsWith(error());

    await clock.advance(59 * MINUTE);
    expect(read()).toEqual([line(level, FAILS)]);
    await clock.advance(6 * MINUTE);
    expect(read()).toEqual([line(level, FAILS), line('error', RAN_OUT)]);
    await clock.advance(HOUR);

    expect(read()).toHaveLength(2);
  });

  it('is logged when somebody asks for it first', async () => {
    const { clock, mint, refresher, read } = await startLogged();
    mint.failsWith(refused());
    await clock.advance(HOUR / 2);

    refresher.discard(await refresher.token());
    refresher.token().catch(() => {});
    refresher.token().catch(() => {});

    expect(read()).toEqual([line('error', FAILS), line('error', RAN_OUT)]);
    refresher.stop();
  });

  it('is not logged when the failure itself came with it', async () => {
    const { clock, mint, refresher, read } = await startLogged();
    mint.failsWith(busy());
    refresher.discard(await refresher.token());

    await clock.advance(HOUR);

    expect(read()).toEqual([line('error', /fails.*cannot be opened/)]);
  });
});

describe('of a running backend', () => {
  const start = lakebaseTests();

  it('each change is logged once, as an error where somebody has to act', async () => {
    const emulator = await start.emulator({ credentialLifeMs: 3_000 });
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      lakebase: { connectTimeout: { seconds: 1 } },
    });
    const knex = await lakebase.getClient('catalog');
    emulator.controlPlane.answer('credentials', { status: 403 });
    await emulator.controlPlane.once('credentials');

    emulator.gateway.revokeTokens();
    await killSessions(emulator, knex);
    for (let query = 0; query < 3; query++) {
      await expect(knex.raw('select 1')).rejects.toThrow('HTTP 403');
    }

    expect(lakebase.lines.filter(({ level }) => level !== 'debug')).toEqual([
      line('error', /fails, and somebody has to act.*current one serves.*403/),
      line('error', /no longer valid.*HTTP 403/),
    ]);
  });
});
