import type { Shown } from './peers';
import type { Fault } from './table';

export interface Row extends Fault {
  result: 'survived' | 'FAILED' | 'not tested';
  /** For faults that the peers were put through as well. */
  shown?: Shown;
}

/** The fault table, in Markdown. */
export const page = (
  groups: Record<string, Row[]>,
  replicas: string,
) => `# What a portal survives

Made by \`npm run faults\`, which runs the tests of every fault, on the emulator of Lakebase and a real Postgres, and puts two peers through those that they can be put through. Where there are numbers, all three met the same fault in the same run: five queries at once on a pool of five connections, unless it says otherwise.

- **Stock pattern**: Knex with a connection function and \`expirationChecker\`, which is what Backstage's own connector does for Azure and RDS, with a mint of a few lines.
- **Databricks' driver**: a pool of \`@databricks/lakebase\` for each plugin, as it comes.

${Object.entries(groups).map(section).join('\n')}
## 200 replicas that start together

Simulated with the refresher of this module, its credentials of an hour, for half an hour, in which each renews its credential once. Spread evenly over the ten minutes that are for it, that is one in three seconds.

${replicas}`;

const section = ([title, rows]: [string, Row[]]) => `## ${title}

| What goes wrong | What this module makes of it | Tests | This module | Stock pattern | Databricks' driver |
| --- | --- | --- | --- | --- | --- |
${rows.map(line).join('\n')}
`;

const line = ({ fault, survives, result, shown }: Row) =>
  `| ${[
    fault,
    survives,
    result,
    shown?.ours ?? '',
    shown?.stockPattern ?? '',
    shown?.databricks ?? '',
  ].join(' | ')} |`;
