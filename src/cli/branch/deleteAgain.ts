import { attempt } from '../../time/attempt';
import type { Terminal } from '../terminal';
import { useProject } from './project';

/** How long tidying up may take after an interruption. */
const TIDYING_MS = 30_000;

/**
 * Deletes a branch that was made for this command only, also when the command
 * was interrupted.
 *
 * @returns its name; undefined where it is not there.
 */
export function deleteAgain(
  configFiles: string[] | undefined,
  terminal: Terminal,
  id: string,
): Promise<string | undefined> {
  return attempt(
    signal =>
      useProject(configFiles, terminal, signal, async ({ api }) => {
        const left = await api.find(api.nameOf(id));
        if (!left) return undefined;
        await api.untilReady(left);
        await api.delete(left.name);
        return left.name;
      }),
    { clock: terminal.clock, timeoutMs: TIDYING_MS },
  );
}
