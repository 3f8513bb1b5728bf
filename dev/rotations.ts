import type { Emulator } from '../emulator';
import { timeOfDay } from '../testbed/timeOfDay';
import { say } from './report';

/** How many connections have logged in with each credential, oldest first. */
export function loginsPerCredential({ gateway }: Emulator): number[] {
  const counts = new Map<string, number>();
  for (const { tokenId } of gateway.logins) {
    counts.set(tokenId, (counts.get(tokenId) ?? 0) + 1);
  }
  return [...counts.values()];
}

export const credentialsMinted = ({ controlPlane }: Emulator) =>
  controlPlane.count('credentials', { status: 200 });

/** Prints a line for every new credential. */
export async function reportRotations(
  emulator: Emulator,
  lifeMs: number,
): Promise<never> {
  const { controlPlane, gateway } = emulator;
  for (;;) {
    const call = await controlPlane.once('credentials');
    if (call.status !== 200) continue;
    const number = credentialsMinted(emulator);
    const logins = loginsPerCredential(emulator).at(-1);
    say(
      `Credential ${number} is here, good for logins until ` +
        `${timeOfDay(call.at + lifeMs)}` +
        (logins === undefined
          ? ''
          : `. ${logins} connections have logged in with the one before, ` +
            `${gateway.openConnections} are open and go on`),
    );
  }
}
