import { reasonToSpare } from '../../branches/branchPlan';
import type { ScrubbedTable } from '../../branches/scrub';
import { LakebaseError } from '../../errors';
import { EXIT } from '../exitCodes';
import { renderTable } from '../table';
import type { Terminal } from '../terminal';
import { inProject } from './project';
import { scrubCopy } from './scrubCopy';
import { showSteps } from './steps';

export interface ScrubOptions {
  config?: string[];
  branch: string;
  allowUnknown?: string[];
  json: boolean;
}

/** Takes out of a branch what must not leave production. */
export function scrub(
  { config, branch: wanted, allowUnknown, json }: ScrubOptions,
  terminal: Terminal,
): Promise<number> {
  return inProject(config, terminal, async (project, signal) => {
    const branch = await project.branch(wanted);
    const { name, source } = branch;
    const reason = reasonToSpare(branch, project.configured);
    if (reason !== undefined || source === undefined) {
      throw new LakebaseError('branch-refused', {
        problem: `${name} is not scrubbed: ${reason ?? 'it was made from no other branch'}`,
        remedy: 'Name a copy; backstage-lakebase branch list shows them',
      });
    }
    terminal.error(`${name}, a copy of ${source}`);
    const { step } = showSteps(terminal);
    const { name: endpoint, host } = await project.api.endpointOf(name);
    const tables = await step('scrub', () =>
      scrubCopy(
        project,
        source,
        { endpoint, host },
        { allowed: allowUnknown, again: true, signal },
      ),
    );
    const scrubbed = tables ?? [];
    terminal.out(
      json
        ? JSON.stringify({ version: 1, name, scrubbed }, undefined, 2)
        : renderScrubbed(scrubbed),
    );
    return EXIT.ok;
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
