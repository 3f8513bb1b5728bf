import { showControls } from '../texts';

/** One that serves a connection. */
export interface ServerProcess {
  pid: number;
  /** What it is called is up to its client. */
  name: string | null;
  since: Date | null;
}

export const describeProcess = ({ pid, name, since }: ServerProcess): string =>
  `process ${pid} (${showControls(name ?? '')}) since ${since?.toISOString() ?? 'an unknown time'}`;
