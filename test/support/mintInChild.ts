import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { omit } from 'lodash';
import type { ServicePrincipal } from '../../emulator';

/** What became of one mint. */
export interface Outcome {
  lifeMs?: number;
  code?: string;
  permanent?: boolean;
  message?: string;
  /** Everything that the error shows. */
  told?: string;
}

export interface MintRequest {
  host: string;
  client: ServicePrincipal;
}

export interface MintReply {
  outcome: Outcome;
  /** NODE_TLS_REJECT_UNAUTHORIZED afterwards. */
  rejectUnauthorized?: string;
}

/**
 * Mints in a process of its own, for Node reads
 * its certificate authorities from the environment once, at start.
 *
 * @returns also how the process ended, which it has to do by itself.
 */
export async function mintInChild(
  request: MintRequest,
  env: { NODE_EXTRA_CA_CERTS?: string },
): Promise<MintReply & { exitCode: number | null }> {
  const child = fork(join(__dirname, 'mintingProcess.ts'), {
    execArgv: ['--import', 'tsx'],
    env: {
      ...omit(
        process.env,
        'NODE_EXTRA_CA_CERTS',
        'NODE_TLS_REJECT_UNAUTHORIZED',
      ),
      ...env,
    },
  });
  const exit = once(child, 'exit');
  child.send(request);
  const [reply] = (await Promise.race([
    once(child, 'message'),
    exit.then(([code]) => {
      throw new Error(`The minting process ended early: ${code}`);
    }),
  ])) as [MintReply];
  const [exitCode] = (await exit) as [number | null];
  return { ...reply, exitCode };
}
