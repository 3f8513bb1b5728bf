import { styleText } from 'node:util';
import { showControls } from '../../texts';
import type { Result } from './check';

const WIDTH = 100;

const COLORS = {
  ok: 'green',
  warn: 'yellow',
  fail: 'red',
  skipped: 'gray',
} as const;

const STATUS_WIDTH = 9;
const CHECK_WIDTH = 16;
const INDENT = ' '.repeat(STATUS_WIDTH + CHECK_WIDTH);

/** One result as text; each statement stays on one line, however long. */
export function render(result: Result, colored: boolean): string {
  const { check, status } = result;
  const message = showControls(result.message);
  const remedy = result.remedy && showControls(result.remedy);
  const statements = result.statements?.map(showControls) ?? [];
  const word = status.padEnd(STATUS_WIDTH);
  const head =
    (colored ? inColor(status, word) : word) + check.padEnd(CHECK_WIDTH);
  const cure = remedy && (statements.length > 0 ? `${remedy}:` : remedy);
  const lines = [...wrap(message), ...(cure ? wrap(cure) : [])];
  const [first, ...rest] = lines;
  return [
    head + first,
    ...rest.map(line => INDENT + line),
    ...statements.map(line => `  ${line}`),
  ].join('\n');
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line ? `${line} ${word}` : word;
    if (line && longer.length > WIDTH - INDENT.length) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

/** The caller has looked whether there is a terminal to show it. */
const inColor = (status: Result['status'], text: string) =>
  styleText(COLORS[status], text, { validateStream: false });

/** The last line. */
export function summarize(results: Result[]): string {
  const count = (status: Result['status']) =>
    results.filter(result => result.status === status).length;
  const failures = count('fail');
  const warnings = count('warn');
  const verdict = failures > 0 ? `${failures} failed` : 'Fit to start';
  if (warnings === 0) return `${verdict}.`;
  return `${verdict}, with ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}.`;
}
