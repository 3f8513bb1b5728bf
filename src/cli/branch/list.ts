import { isMadeHere } from '../../branches/branchPlan';
import { pullRequestOf } from '../../branches/branchName';
import type { BranchInfo } from '../../databricks/branchReplies';
import { EXIT } from '../exitCodes';
import { formatBytes, formatSpan, renderTable } from '../table';
import type { Terminal } from '../terminal';
import { inProject, type Project } from './project';

export interface ListOptions {
  config?: string[];
  deleted: boolean;
  json: boolean;
}

/** Shows the branches of the project, and which of them this tool made. */
export function list(
  { config, deleted, json }: ListOptions,
  terminal: Terminal,
): Promise<number> {
  return inProject(config, terminal, async project => {
    const found = await project.api.list({ deleted });
    const shown = await Promise.all(
      found.map(branch => describe(branch, project)),
    );
    terminal.out(
      json
        ? JSON.stringify({ version: 1, branches: shown }, undefined, 2)
        : render(shown, terminal.clock.wall()),
    );
    return EXIT.ok;
  });
}

async function describe(branch: BranchInfo, { api, configured }: Project) {
  const gone = branch.state === 'DELETED';
  const pullRequest = pullRequestOf(branch.id);
  const mark = isMadeHere(branch, configured)
    ? pullRequest
      ? `pull request ${pullRequest}`
      : 'a git branch'
    : undefined;
  return {
    ...branch,
    endpoints: gone ? [] : await api.states(branch.name),
    madeHere: mark !== undefined,
    use: branch.name === configured ? 'this configuration' : mark,
  };
}

type Shown = Awaited<ReturnType<typeof describe>>;

function render(branches: Shown[], nowMs: number): string {
  const since = (time?: Date) =>
    time ? formatSpan(nowMs - time.getTime()) : '';
  return renderTable(
    [
      'branch',
      'from',
      'at',
      'age',
      'expires in',
      'size',
      'state',
      'endpoint',
      'for',
    ],
    branches.map(branch => [
      branch.id,
      branch.source?.split('/').at(-1) ?? '',
      branch.sourceTime?.toISOString() ?? branch.sourceLsn ?? '',
      since(branch.createdAt),
      branch.expiresAt && !branch.deletedAt
        ? formatSpan(branch.expiresAt.getTime() - nowMs)
        : '',
      branch.sizeBytes === undefined ? '' : formatBytes(branch.sizeBytes),
      describeState(branch),
      branch.endpoints.join(', '),
      branch.use ?? '',
    ]),
  );
}

const describeState = ({ state, isDefault, isProtected }: Shown): string =>
  [state ?? '', isDefault && 'default', isProtected && 'protected']
    .filter(Boolean)
    .join(', ');
