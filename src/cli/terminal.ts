import { type Clock, systemClock } from '../time/clock';

/** Where a command writes, and what surrounds it. */
export interface Terminal {
  /** The text, with the end of its line. */
  out: (text: string) => void;
  error: (text: string) => void;
  /** Whether somebody reads what is written to `out`. */
  interactive: boolean;
  colored: boolean;
  env: Record<string, string | undefined>;
  clock: Clock;
  /** Stands for Ctrl-C, where there is no keyboard. */
  interrupted?: AbortSignal;
}

interface Stream {
  isTTY?: boolean;
  write(text: string): unknown;
}

export interface Surroundings {
  stdout: Stream;
  stderr: Stream;
  env: Terminal['env'];
}

export function processTerminal({
  stdout,
  stderr,
  env,
}: Surroundings = process): Terminal {
  const interactive = stdout.isTTY ?? false;
  return {
    out: text => void stdout.write(`${text}\n`),
    error: text => void stderr.write(`${text}\n`),
    interactive,
    colored: interactive && !env.NO_COLOR,
    env,
    clock: systemClock,
  };
}
