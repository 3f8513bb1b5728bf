import { LakebaseError } from '../../src/errors';
import { TokenRefresher } from '../../src/tokenRefresher';

/** A process with a refresher that is started and never stopped. */
const minting = process.argv[2];

const say = () => console.log(`minting ${minting}`);

new TokenRefresher({
  async mint() {
    if (minting === 'works') return { token: 'a token', lifeMs: 3_600_000 };
    throw new LakebaseError('workspace-busy', {
      message: 'HTTP 503',
      retryAfterMs: 60_000,
    });
  },
  onRefreshed: say,
  onFailing: say,
}).start();
