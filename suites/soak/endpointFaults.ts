import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import type { Emulator } from '../../emulator';
import type { Draw, Victim } from './fault';

const login = ({ gateway }: Emulator) => once(gateway, 'login');

/** A login is over for Backstage when its first queries are, too. */
const LOGIN_MS = 3_000;

/**
 * Until the newest credential has let somebody in. One that is refused before
 * it ever did so is rightly held against the identity, and not renewed.
 */
async function credentialInUse({ emulator, secrets }: Victim): Promise<void> {
  const { gateway, controlPlane } = emulator;
  for (;;) {
    const credential = secrets.credentials.at(-1)!;
    const { jti } = decodeJwt(credential);
    while (gateway.logins.at(-1)?.tokenId !== jti) await login(emulator);
    await sleep(LOGIN_MS);
    const minting = controlPlane.calls.at(-1)?.status === undefined;
    if (!minting && secrets.credentials.at(-1) === credential) return;
  }
}

const credentialsRevoked: Draw = () => ({
  what: 'all credentials are revoked',
  mayFail: 'nothing',
  refuses: ['revoked'],
  credentialsSpoilt: 1,
  ready: credentialInUse,
  strike: ({ emulator }) => emulator.gateway.revokeTokens(),
  lastsMs: 0,
  over: ({ emulator }) => login(emulator),
});

/** A credential is then from the future, or over: both ways at either end. */
const clockShifted: Draw = dice => {
  const minutes = dice.oneOf([-30, -2, 2, 30]);
  return {
    what: `the platform's clock is shifted by ${minutes} min`,
    mayFail: 'nothing',
    refuses: ['expired', 'notYetValid'],
    credentialsSpoilt: 2,
    ready: credentialInUse,
    strike: ({ emulator: { controlPlane } }) => {
      controlPlane.clockOffsetMs = minutes * 60_000;
    },
    lastsMs: 3_000,
    end: async victim => {
      await credentialInUse(victim);
      victim.emulator.controlPlane.clockOffsetMs = 0;
    },
    over: ({ emulator }) => login(emulator),
  };
};

const connectionsDropped: Draw = dice => {
  const mode = dice.oneOf(['terminate', 'reset', 'close'] as const);
  return {
    what: `all connections are dropped (${mode})`,
    mayFail: 'what is in flight',
    refuses: ['shuttingDown'],
    strike: ({ emulator }) => emulator.gateway.dropConnections(mode),
    lastsMs: 0,
    over: ({ emulator }) => login(emulator),
  };
};

/** One that is idle may be taken into use within that very moment. */
const idleClosed: Draw = () => ({
  what: 'the server closes idle sessions',
  mayFail: 'what is in flight',
  strike: ({ emulator }) =>
    emulator.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE usename = $1 AND state = 'idle'
         AND state_change < now() - interval '100 ms'`,
      [emulator.servicePrincipal.clientId],
    ),
  lastsMs: 0,
  over: ({ emulator }) => login(emulator),
});

const suspended: Draw = dice => {
  const meanwhile = dice.oneOf(['hold', 'startingUp', 'refuse'] as const);
  const wakeDelayMs = dice.between(300, 5_000);
  return {
    what: `the endpoint is suspended, and wakes in ${wakeDelayMs} ms (${meanwhile})`,
    mayFail: 'what is in flight',
    refuses: ['shuttingDown', 'startingUp', 'expired'],
    strike: ({ emulator: { gateway } }) =>
      gateway.suspend({ wakeDelayMs, while: meanwhile }),
    lastsMs: 0,
    over: ({ emulator }) => login(emulator),
  };
};

const stalled: Draw = dice => {
  const seconds = dice.between(1, 5);
  return {
    what: `the gateway does not answer for ${seconds} s`,
    mayFail: 'nothing',
    // A credential may run out within a login.
    refuses: ['expired'],
    strike: ({ emulator }) => emulator.gateway.stall(true),
    met: ({ emulator }) => once(emulator.gateway, 'connection'),
    lastsMs: seconds * 1000,
    end: ({ emulator }) => emulator.gateway.stall(false),
    over: ({ emulator }) => login(emulator),
  };
};

const slowLogins: Draw = dice => {
  const latencyMs = dice.between(200, 3_000);
  return {
    what: `logins take ${latencyMs} ms`,
    mayFail: 'nothing',
    refuses: ['expired'],
    strike: ({ emulator }) => {
      emulator.gateway.loginLatencyMs = latencyMs;
    },
    met: ({ emulator }) => login(emulator),
    lastsMs: 5_000,
    end: ({ emulator }) => {
      emulator.gateway.loginLatencyMs = 0;
    },
  };
};

const startingUp: Draw = dice => {
  const times = dice.between(3, 15);
  return {
    what: `the next ${times} logins are told that the server is starting up`,
    mayFail: 'nothing',
    refuses: ['startingUp'],
    strike: ({ emulator }) =>
      emulator.gateway.refuseNext('startingUp', { times }),
    met: ({ emulator }) => once(emulator.gateway, 'refusal'),
    lastsMs: 5_000,
    end: ({ emulator }) => emulator.gateway.refuseNoMore(),
    over: ({ emulator }) => login(emulator),
  };
};

/** What is open stays open; what ends finds its place taken. */
const connectionLimit: Draw = dice => {
  const seconds = dice.between(2, 8);
  const limit = dice.between(0, 3);
  return {
    what: `the endpoint takes no connections above ${limit} for ${seconds} s`,
    mayFail: 'nothing',
    refuses: ['tooManyConnections'],
    strike: ({ emulator }) => {
      emulator.gateway.connectionLimit = limit;
    },
    met: ({ emulator }) => once(emulator.gateway, 'refusal'),
    lastsMs: seconds * 1000,
    end: ({ emulator }) => {
      emulator.gateway.connectionLimit = undefined;
    },
    over: ({ emulator }) => login(emulator),
  };
};

const certificateRenewed: Draw = () => ({
  what: 'the gateway shows another valid certificate, and the old one again',
  mayFail: 'nothing',
  strike: ({ emulator }) => {
    emulator.gateway.tls = 'renewed';
  },
  met: ({ emulator }) => login(emulator),
  lastsMs: 3_000,
  end: ({ emulator }) => {
    emulator.gateway.tls = 'valid';
  },
  over: ({ emulator }) => login(emulator),
});

const eventLoopBlocked: Draw = () => ({
  what: 'the event loop of Backstage is blocked for 2 s',
  mayFail: 'nothing',
  strike: ({ backend }) => backend.ask('block', 2_000),
  lastsMs: 0,
  over: ({ emulator }) => login(emulator),
});

export const ENDPOINT_FAULTS: Draw[] = [
  credentialsRevoked,
  clockShifted,
  connectionsDropped,
  idleClosed,
  suspended,
  stalled,
  slowLogins,
  startingUp,
  connectionLimit,
  certificateRenewed,
  eventLoopBlocked,
];
