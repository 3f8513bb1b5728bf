import { posix } from 'node:path';
import { compact } from 'lodash';
import {
  auditEntry,
  type AuditEntry,
  auditStatement,
  MAX_ENTRIES,
} from '../../governance/auditTrail';
import { type BranchEvent, branchEvents } from '../../governance/branchEvents';
import { LakebaseError } from '../../errors';
import { inProject } from '../branch/project';
import { EXIT } from '../exitCodes';
import { renderTable } from '../table';
import type { Terminal } from '../terminal';
import {
  beginOf,
  warehouseOf,
  type WarehouseOptions,
} from './warehouseOptions';

export interface AuditOptions extends WarehouseOptions {
  branch?: string;
  json: boolean;
}

/** Shows what became of branches, and who did what as far as that is known. */
export function audit(
  options: AuditOptions,
  terminal: Terminal,
): Promise<number> {
  return inProject(options.config, terminal, async project => {
    const since = beginOf(options, terminal);
    const warehouse = warehouseOf(options, project, terminal);
    const all = await project.api.list({ deleted: true });
    const meant = all.filter(
      ({ id, name, uid }) =>
        options.branch === undefined ||
        [id, name, uid].includes(options.branch),
    );
    // One that is purged the log may still know.
    if (meant.length === 0 && !warehouse) throw noSuch(options.branch!);
    const events = branchEvents(meant, since);
    if (!warehouse) {
      report({ events, since }, options, terminal);
      return EXIT.ok;
    }
    const { uid } = await project.api.readProject();
    const found = await warehouse.run(
      auditStatement(
        since,
        compact([posix.basename(project.api.project), uid]),
        options.branch === undefined
          ? []
          : [
              options.branch,
              ...meant.flatMap(branch => compact([branch.id, branch.uid])),
            ],
      ),
    );
    const newest = found.rows.slice(0, MAX_ENTRIES);
    const entries = newest.map(auditEntry).reverse();
    const cut = found.truncated || found.rows.length > MAX_ENTRIES;
    report({ events, since, entries, cut }, options, terminal);
    return EXIT.ok;
  });
}

const noSuch = (branch: string) =>
  new LakebaseError('branch-missing', {
    problem: `The platform knows no branch ${branch}, and none that was deleted within its last days`,
    remedy: 'See backstage-lakebase branch list --deleted',
  });

interface Found {
  events: BranchEvent[];
  since: Date;
  /** Missing where nobody looked. */
  entries?: AuditEntry[];
  /** Whether there are more. */
  cut?: boolean;
}

const WORDS: Record<BranchEvent['kind'], string> = {
  made: 'made',
  'ready-again': 'ready again',
  expired: 'expired',
  deleted: 'deleted',
};

function report(
  { events, since, entries, cut = false }: Found,
  { json }: AuditOptions,
  { out, error }: Terminal,
): void {
  if (json) {
    const found = { version: 1, since, branches: events, log: entries, cut };
    out(JSON.stringify(found, undefined, 2));
    return;
  }
  out(
    events.length === 0
      ? `No branch was made, expired or deleted since ${since.toISOString()}`
      : renderTable(
          ['time', 'what', 'branch', ''],
          events.map(({ at, kind, branch, detail }) => [
            at.toISOString(),
            WORDS[kind],
            branch,
            detail,
          ]),
        ),
  );
  out('');
  out(logText(entries));
  if (cut)
    error(
      `There are more than ${MAX_ENTRIES} lines, and the oldest are left out: ask for fewer --days`,
    );
}

function logText(entries: AuditEntry[] | undefined): string {
  if (!entries) {
    return (
      'Who did it, the log of the account tells: give --warehouse, where ' +
      'system.access.audit is delivered'
    );
  }
  if (entries.length === 0) {
    return (
      'system.access.audit has nothing of this project: it is not delivered ' +
      'in this workspace (that is promised with a compliance profile only), ' +
      'or what happened is too fresh'
    );
  }
  return renderTable(
    ['time', 'who', 'action', 'status', 'times', 'of'],
    entries.map(({ at, who, service, action, status, times, params }) => [
      at.toISOString(),
      who,
      `${service} ${action}`,
      status === undefined ? '' : String(status),
      String(times),
      aboutOf(params),
    ]),
  );
}

/** What it was about, by the most telling of its parameters. */
const aboutOf = (params: Record<string, string>): string =>
  Object.entries(params)
    .filter(([name]) => /(^|_)(name|id|branch|endpoint|parent)$/i.test(name))
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
