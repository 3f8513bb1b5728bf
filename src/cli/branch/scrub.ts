import type { ScrubbedTable } from '../../branches/scrub';
import { LakebaseError } from '../../errors';
import { EXIT } from '../exitCodes';
import { interruptible } from '../interruption';
import { renderTable } from '../table';
import type { Terminal } from '../terminal';
import { openProject } from './project';
import { scrubAll } from './scrubAll';
import { showSteps } from './steps';

export interface ScrubOptions {
  config?: string[];
  branch: string;
  allowUnknown?: string[];
  json: boolean;
}

/** Takes out of a branch what must not leave production. */
export function scrub(
  { config, branch: wanted, allowUnknown = [], json }: ScrubOptions,
  terminal: Terminal,
): Promise<number> {
  return interruptible(terminal, async signal => {
    const project = await openProject(config, terminal, signal);
    try {
      const branch = await project.branch(wanted);
      const { name, source } = branch;
      const fixed = branch.isDefault
        ? 'the default branch of the project'
        : branch.isProtected
          ? 'protected'
          : name === project.configured
            ? 'the branch that the configuration points at'
            : !source && 'a root, and no copy of another branch';
      if (fixed || !source) {
        throw new LakebaseError('branch-refused', {
          problem: `${name} is ${fixed || 'no copy'}, and is not scrubbed`,
          remedy: 'Name a copy; backstage-lakebase branch list shows them',
        });
      }
      terminal.error(`${name}, a copy of ${source}`);
      const { step } = showSteps(terminal);
      const [there, here] = await Promise.all(
        [source, name].map(each => project.api.endpointOf(each)),
      );
      const from = project.access(there.name, there.host);
      const copy = project.access(here.name, here.host);
      try {
        const done = await step('scrub', () =>
          scrubAll(copy, from, allowUnknown, { again: true }),
        );
        const tables = done ?? [];
        terminal.out(
          json
            ? JSON.stringify(
                { version: 1, name, scrubbed: tables },
                undefined,
                2,
              )
            : renderScrubbed(tables),
        );
        return EXIT.ok;
      } finally {
        await Promise.all([copy.close(), from.close()]);
      }
    } finally {
      project.close();
    }
  });
}

export const renderScrubbed = (tables: ScrubbedTable[]): string =>
  renderTable(
    ['plugin', 'table', 'rows', 'what was in it'],
    tables.map(({ plugin, table, rows, why }) => [
      plugin,
      table,
      String(rows),
      why,
    ]),
  );
