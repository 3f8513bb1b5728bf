import { systemClock } from '../../src/time/clock';
import { explainRefreshFault } from '../../src/databricks/credentialFaults';
import { LakebaseError } from '../../src/errors';
import { TokenRefresher } from '../../src/tokenRefresher';

/** A process with a refresher that is started and never stopped. */
const minting = process.argv[2];
const busy = new LakebaseError(
  'workspace-busy',
  { problem: 'HTTP 503' },
  { retryAfterMs: 60_000 },
);

const say = () => console.log(`minting ${minting}`);

new TokenRefresher({
  clock: systemClock,
  explain: explainRefreshFault,
  mint: () =>
    minting === 'works'
      ? Promise.resolve({ token: 'a token', lifeMs: 3_600_000 })
      : Promise.reject(busy),
  listeners: [{ onMinted: say, onFailed: say }],
}).start();
