import { readFile } from 'node:fs/promises';
import { pullRequestOf } from '../../branches/branchName';
import { isMadeHere, reasonToKeep } from '../../branches/branchPlan';
import { parseDuration } from '../../branches/pointInTime';
import type { BranchInfo } from '../../databricks/branchReplies';
import { ConfigurationError, LakebaseError } from '../../errors';
import { EXIT } from '../exitCodes';
import type { Terminal } from '../terminal';
import { inProject } from './project';

interface CommonOptions {
  config?: string[];
  json: boolean;
}

/** Deletes one branch; one that is not there any more is all right. */
export function remove(
  id: string,
  { config, json }: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  return inProject(config, terminal, async project => {
    const { api, configured } = project;
    const all = await api.list();
    const found = all.find(branch => branch.name === api.nameOf(id));
    const reason = found && reasonToKeep(found, configured, all);
    if (found && reason) {
      throw new LakebaseError('branch-refused', {
        problem: `${found.name} is not deleted: ${reason}`,
        remedy: 'If it is meant, delete it in the workspace or with its CLI',
        statements: [`databricks postgres delete-branch ${found.name}`],
      });
    }
    if (found) {
      terminal.error(`Deleting ${found.name}, a copy of ${configured}`);
      await api.delete(found.name);
    }
    report(terminal, json, [{ name: api.nameOf(id), deleted: Boolean(found) }]);
    return EXIT.ok;
  });
}

export interface SweepOptions extends CommonOptions {
  closedPrs?: string;
  olderThan?: string;
  dryRun: boolean;
}

/** Deletes what this tool made and nobody needs any more. */
export async function sweep(
  options: SweepOptions,
  terminal: Terminal,
): Promise<number> {
  const { config, dryRun, json } = options;
  const isOver = await readCriteria(options, terminal.clock.wall());
  return inProject(config, terminal, async project => {
    const { api, configured } = project;
    const all = await api.list();
    const gone: Swept[] = [];
    for (const branch of all) {
      if (!isMadeHere(branch, configured) || !isOver(branch)) continue;
      const kept = reasonToKeep(branch, configured, all);
      if (!kept && !dryRun) {
        terminal.error(`Deleting ${branch.name}, a copy of ${configured}`);
        await api.delete(branch.name);
      }
      gone.push({ name: branch.name, deleted: !kept && !dryRun, kept });
    }
    report(terminal, json, gone, dryRun);
    return EXIT.ok;
  });
}

/** @throws ConfigurationError */
async function readCriteria(
  { closedPrs, olderThan }: SweepOptions,
  nowMs: number,
): Promise<(branch: BranchInfo) => boolean> {
  if (closedPrs === undefined && olderThan === undefined) {
    throw new ConfigurationError(
      'Nothing says which branches are over',
      'Give --older-than 3d, or --closed-prs with a file of their numbers',
    );
  }
  const closed = closedPrs === undefined ? [] : await readNumbers(closedPrs);
  const ageMs =
    olderThan === undefined
      ? Infinity
      : parseDuration(olderThan, '--older-than');
  return ({ id, createdAt }) => {
    const pullRequest = pullRequestOf(id);
    if (pullRequest !== undefined && closed.includes(pullRequest)) return true;
    return createdAt !== undefined && nowMs - createdAt.getTime() > ageMs;
  };
}

async function readNumbers(file: string): Promise<number[]> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new ConfigurationError(`--closed-prs: ${error.message}`);
  });
  return text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(word => {
      if (/^[1-9]\d*$/.test(word)) return Number(word);
      throw new ConfigurationError(
        `--closed-prs: '${word}' in ${file} is no number of a pull request`,
        'Put one number on each line',
      );
    });
}

interface Swept {
  name: string;
  deleted: boolean;
  kept?: string;
}

function report(
  { out }: Terminal,
  json: boolean,
  branches: Swept[],
  dryRun = false,
): void {
  if (json) {
    out(JSON.stringify({ version: 1, dryRun, branches }, undefined, 2));
    return;
  }
  for (const { name, deleted, kept } of branches) {
    const what = deleted
      ? 'deleted'
      : kept
        ? `kept: ${kept}`
        : dryRun
          ? 'would be deleted'
          : 'not there';
    out(`${name}  ${what}`);
  }
  if (branches.length === 0) out('There is nothing to delete');
}
