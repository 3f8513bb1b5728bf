import type { Emulator, Fault as Answer, Route } from '../../emulator';
import type { Draw } from './fault';

/** All that the module calls while it runs. */
const ROUTES: Route[] = ['token', 'credentials', 'branch', 'endpoint'];

/** Either step of a mint: the second alone, while a workspace token lives. */
const mintAttempt = ({ controlPlane }: Emulator) =>
  Promise.race([
    controlPlane.once('token', 'received'),
    controlPlane.once('credentials', 'received'),
  ]);

async function minted({ controlPlane }: Emulator): Promise<void> {
  while ((await controlPlane.once('credentials')).status !== 200);
}

/**
 * With the lives of this run some outages outlast the credential. Those may
 * fail nothing either, for connections wait longer than that.
 */
const outage =
  (what: string, answer: Answer): Draw =>
  dice => {
    const seconds = dice.between(2, 12);
    return {
      what: `the workspace ${what}, ${seconds} s from the next mint on`,
      mayFail: 'nothing',
      strike: ({ emulator: { controlPlane } }) =>
        ROUTES.forEach(route => controlPlane.answer(route, answer)),
      met: ({ emulator }) => mintAttempt(emulator),
      lastsMs: seconds * 1000,
      end: ({ emulator }) => emulator.controlPlane.recover(),
      over: ({ emulator }) => minted(emulator),
    };
  };

const slow: Draw = dice => {
  const seconds = dice.between(1, 6);
  return {
    what: `the workspace answers the next mint after ${seconds} s`,
    mayFail: 'nothing',
    strike: ({ emulator: { controlPlane } }) =>
      controlPlane.answer('credentials', { latencyMs: seconds * 1000 }),
    met: ({ emulator }) => mintAttempt(emulator),
    lastsMs: 0,
    end: ({ emulator }) => emulator.controlPlane.recover(),
    over: ({ emulator }) => minted(emulator),
  };
};

const tokensRevoked: Draw = () => ({
  what: 'the workspace revokes its access tokens',
  mayFail: 'nothing',
  strike: ({ emulator }) => emulator.controlPlane.revokeWorkspaceTokens(),
  met: ({ emulator }) => mintAttempt(emulator),
  lastsMs: 0,
  over: ({ emulator }) => minted(emulator),
});

export const WORKSPACE_FAULTS: Draw[] = [
  outage('answers 503', { status: 503 }),
  outage('answers 429', { status: 429, headers: { 'Retry-After': '2' } }),
  outage('does not answer', { hang: true }),
  outage('resets connections', { reset: true }),
  outage('answers with a page of a proxy', {
    body: '<html><body>Please sign in</body></html>',
    headers: { 'Content-Type': 'text/html' },
  }),
  slow,
  tokensRevoked,
];
