import { run } from '../src/cli/program';
import type { Terminal } from '../src/cli/terminal';
import { systemClock } from '../src/time/clock';

export interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs the command as the shell would, in this process. */
export async function commandLine(
  args: string[],
  {
    onOutput = () => {},
    ...surroundings
  }: Partial<Omit<Terminal, 'out' | 'error'>> & {
    /** While the command still runs. */
    onOutput?: () => void | Promise<void>;
  } = {},
): Promise<Outcome> {
  const said = { stdout: '', stderr: '' };
  const exitCode = await run(args, {
    out: text => {
      said.stdout += `${text}\n`;
      void onOutput();
    },
    error: text => (said.stderr += `${text}\n`),
    interactive: false,
    colored: false,
    env: {},
    clock: systemClock,
    ...surroundings,
  });
  return { exitCode, ...said };
}
