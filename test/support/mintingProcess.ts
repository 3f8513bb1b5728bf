import { LakebaseError } from '../../src/errors';
import { everythingIn } from './everythingIn';
import type { MintReply, MintRequest, Outcome } from './mintInChild';
import { createWorkspaceAt } from './workspaces';

// The entry of the process that mintInChild forks.
process.once('message', (request: MintRequest) => {
  void mint(request).then(outcome => {
    const reply: MintReply = {
      outcome,
      rejectUnauthorized: process.env.NODE_TLS_REJECT_UNAUTHORIZED,
    };
    // Once it is told, nothing may keep this process alive.
    process.send!(reply, () => process.disconnect());
  });
});

async function mint({ host, client }: MintRequest): Promise<Outcome> {
  try {
    const { lifeMs } = await createWorkspaceAt(host, client).mintCredential();
    return { lifeMs };
  } catch (error) {
    if (!(error instanceof LakebaseError)) throw error;
    const { code, permanent, message } = error;
    return { code, permanent, message, told: everythingIn(error) };
  }
}
