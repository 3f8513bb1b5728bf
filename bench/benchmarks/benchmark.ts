import type { Laboratory } from '../measure/laboratory';

export interface Benchmark {
  /** On the command line. */
  name: string;
  title: string;
  /** Takes so long that it runs only when it is asked for by name. */
  onRequest?: true;
  run(context: Context): Promise<Findings>;
}

export interface Context {
  laboratory: Laboratory;
  /** A tenth of the effort, to see whether it works. */
  quick: boolean;
}

export interface Findings {
  /** What was done, in a sentence or two. */
  method: string;
  tables: Table[];
  targets: Target[];
  plots?: Plot[];
}

export interface Table {
  columns: string[];
  rows: (string | number)[][];
}

export interface Target {
  promise: string;
  found: string;
  met: boolean;
}

export interface Plot {
  /** The name of its file. */
  name: string;
  title: string;
  x: string;
  y: string;
  logarithmic?: boolean;
  lines: Line[];
  /** A value of y that must not be exceeded. */
  limit?: { name: string; value: number };
  /** Spans of x that mean something. */
  spans?: { name: string; from: number; to: number }[];
}

export interface Line {
  name: string;
  points: [x: number, y: number][];
  stepped?: boolean;
}
