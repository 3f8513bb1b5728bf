import { CHECKS } from './checks';
import { AS_A_WHOLE, type Findings } from './findings';
import type { DivisionMode } from './installation';
import type { Attempts, ModeResults } from './situations';

export type Results = Record<DivisionMode, ModeResults>;

const ROWS = [
  {
    plugin: AS_A_WHOLE,
    does: 'starts, renews its credential, stops well; no login is refused and nothing goes unhandled',
  },
  ...CHECKS,
];

/**
 * The matrix in Markdown. It has nothing in it that changes from one run to
 * the next, so that a fresh one can be compared with the committed one.
 */
export function page(results: Results): string {
  const columns = Object.values(results).flatMap(
    ({ start, restart, copy, replicas }) => [start, restart, copy, replicas],
  );
  const rows = ROWS.map(({ plugin, does }) =>
    [plugin, does, ...columns.map(cell(plugin))].join(' | '),
  );
  return `# Backstage's plugins on this module

Made by \`npm run plugins\`, which runs Backstage backends with all of these
plugins on the Lakebase emulator, with credentials that live for 20 seconds.

- start: on an empty server
- restart: the same, after SIGTERM; what was there before is still there
- copy: a backend on a branch that \`backstage-lakebase branch create\` made of it
  and scrubbed; tokens of production are refused there, and production is the
  same byte for byte
- two replicas: they start at the same moment on an empty server; what is done
  at one shows at the other, both ways

|   | what is tried out | one database each: start | restart | copy | two replicas | one schema each: start | restart | copy | two replicas |
|---|---|---|---|---|---|---|---|---|---|
${rows.map(row => `| ${row} |`).join('\n')}

## Two replicas on an empty server

The plugins migrate their databases with Knex, which fails a replica that meets
another one at that. This module lets them take turns.

|   | first attempt | second attempt |
|---|---|---|
| Backstage's own service on Postgres | one replica or both may fail: while they make the same schema, Knex's tables or a plugin's tables | they may fail again, and for good: Knex takes its lock for held once both have put a row into its table |
| this module | ${ours(results) ? 'both run' : '**fails**'} | |
`;
}

const cell = (row: string) => (findings: Findings) =>
  findings.isWell(row) ? 'ok' : '**fails**';

const ours = (results: Results) =>
  Object.values(results).every(({ replicas }) => replicas.isWell(AS_A_WHOLE));

/** What may be different in the next run. */
export function thisTime(results: Results): string {
  return Object.entries(results)
    .flatMap(([mode, { attempts }]) =>
      (['stock', 'ours'] as const).map(
        side => `one ${mode} each, ${side}: ${inWords(attempts[side])}`,
      ),
    )
    .join('\n');
}

const inWords = (attempts: Attempts) =>
  attempts
    .map((launches, index) => {
      const replicas = launches.map(({ name, failures }) => {
        const reasons = failures.map(
          ({ plugin, reason }) => `${plugin} (${shortened(reason)})`,
        );
        return `${name} ${reasons.length ? `fails for ${reasons.join(', ')}` : 'starts'}`;
      });
      return `\n  attempt ${index + 1}: ${replicas.join('; ')}`;
    })
    .join('');

/** Without the statement, and without what was wrapped around the cause. */
const shortened = (reason: string) =>
  reason.split(/ - |threw an error, |caused by /).at(-1)!;
