import type { Fault } from '../../emulator';
import { everythingIn } from '../support/everythingIn';
import { FakeClock } from '../../testbed/fakeClock';
import { killSessions, lakebaseTests } from '../support/lakebase';
import { liveThrough } from '../support/liveThrough';
import { MINUTE, SECOND } from '../../testbed/durations';
import { seededRandom } from '../../testbed/replicas';

const start = lakebaseTests();

/** In every reply that is no good, and nowhere else. */
const CANARY = 'dose-canary-of-the-reply';

interface Minted {
  token: string;
  expire_time: string;
}

const NO_TOKENS = ['', null, undefined, 7, [], { of: CANARY }, true];
const NO_TIMES = [
  '',
  'soon',
  CANARY,
  null,
  NaN,
  Infinity,
  -1,
  4_102_444_800,
  '2000-01-01T00:00:00Z',
  '2099-13-45T00:00:00Z',
  '2099-01-01',
  [],
  {},
];
const NO_OBJECTS = [
  '',
  `<!doctype html><title>${CANARY}</title>`,
  `{"token": "${CANARY}"`,
  `"${CANARY}"`,
  'null',
  '[]',
  '7',
  `\u0000\ufeff${CANARY}`,
];

/** Replies with HTTP 200 that hold no usable credential. */
function garbage(): [string, Fault][] {
  const random = seededRandom(6);
  const cut = Array.from({ length: 10 }, (): [string, Fault] => {
    const share = random();
    return [
      `the reply, cut off after ${Math.round(share * 100)} %`,
      { change: body => slice(JSON.stringify(body), share) },
    ];
  });
  return [
    ...NO_TOKENS.map((token): [string, Fault] => [
      `the token ${JSON.stringify(token)}`,
      { change: (minted: Minted) => ({ ...minted, token, note: CANARY }) },
    ]),
    ...NO_TIMES.map((time): [string, Fault] => [
      `the time ${JSON.stringify(time)}`,
      { change: (minted: Minted) => ({ ...minted, expire_time: time }) },
    ]),
    ...NO_OBJECTS.map((body): [string, Fault] => [body.slice(0, 20), { body }]),
    ...cut,
  ];
}

const slice = (text: string, share: number) =>
  text.slice(0, Math.floor(share * text.length));

describe('the workspace answers with garbage', () => {
  it('of any kind, and the credential in memory goes on to serve', async () => {
    const emulator = await start.emulator();
    const { controlPlane, gateway } = emulator;
    const clock = new FakeClock();
    // Short pauses: all of it is to fit into the life of one credential.
    clock.random = () => 0.2;
    const settings = { pluginDivisionMode: 'schema' };
    const lakebase = start.lakebase(emulator, settings, { clock });
    const knex = await lakebase.getClient('catalog');
    const replies = garbage();
    for (const [, fault] of replies) {
      controlPlane.answer('credentials', fault, { times: 1 });
    }

    const taken = () => controlPlane.count('credentials') - 1;
    while (taken() < replies.length) {
      await liveThrough(emulator, clock, 5 * SECOND);
    }
    await killSessions(emulator, knex);
    await knex.raw('select 1');

    const [{ tokenId: first }] = gateway.logins;
    expect(new Set(gateway.logins.map(({ tokenId }) => tokenId))).toEqual(
      new Set([first]),
    );
    expect(gateway.refusals).toEqual([]);
    const told = everythingIn(lakebase.lines);
    expect(told).not.toContain(CANARY);
    expect(told).not.toMatch(/eyJ[\w-]{10,}/);
    expect(told).toMatch(/unusable reply|something else than JSON/);

    await liveThrough(emulator, clock, 2 * MINUTE);
    await killSessions(emulator, knex);
    await knex.raw('select 1');
    expect(gateway.logins.at(-1)!.tokenId).not.toBe(first);
  });
});
