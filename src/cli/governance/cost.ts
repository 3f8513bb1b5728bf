import { ConfigurationError, LakebaseError } from '../../errors';
import { type CostBy, costStatement } from '../../governance/cost';
import {
  type CostTable,
  costTable,
  type KnownNames,
} from '../../governance/costTable';
import type { Statement } from '../../databricks/warehouse';
import { inProject, type Project } from '../branch/project';
import { EXIT } from '../exitCodes';
import type { Terminal } from '../terminal';
import { costCsv, renderCost } from './costText';
import {
  beginOf,
  warehouseOf,
  type WarehouseOptions,
} from './warehouseOptions';

export interface CostOptions extends WarehouseOptions {
  by: CostBy;
  currency: string;
  json: boolean;
  csv: boolean;
}

/** Shows what the project has cost, or the SQL that tells. */
export function cost(
  options: CostOptions,
  terminal: Terminal,
): Promise<number> {
  const { config, by, currency, json, csv } = options;
  if (json && csv) {
    throw new ConfigurationError('--json and --csv are two forms: give one');
  }
  return inProject(config, terminal, async project => {
    const since = beginOf(options, terminal).toISOString().slice(0, 10);
    const uid = await projectUid(project);
    const statement = costStatement({ project: uid, by, since, currency });
    const warehouse = warehouseOf(options, project, terminal);
    if (!warehouse) {
      terminal.out(showStatement(statement, json));
      return EXIT.ok;
    }
    const [{ rows, truncated }, names] = await Promise.all([
      warehouse.run(statement),
      namesIn(project),
    ]);
    if (truncated) throw cutShort(by);
    const table = costTable(rows, names);
    const shown = { by, since, currency, project: project.api.project };
    if (json) terminal.out(toJson(table, shown));
    else if (csv) terminal.out(costCsv(table));
    else
      terminal.out(
        renderCost(table, { ...shown, nowMs: terminal.clock.wall() }),
      );
    return EXIT.ok;
  });
}

async function projectUid({ api }: Project): Promise<string> {
  const { uid } = await api.readProject();
  if (uid) return uid;
  throw new LakebaseError('workspace-reply-invalid', {
    problem: `The platform does not tell the uid of ${api.project}, by which bills know it`,
    remedy: 'Try again, or see the project in the workspace',
  });
}

/** Of those that are gone, too, as long as they can be restored. */
async function namesIn({ api }: Project): Promise<KnownNames> {
  const all = await api.list({ deleted: true });
  const branches = new Map(
    all.flatMap(({ id, uid, state }) =>
      uid ? [[uid, { id, deleted: state === 'DELETED' }] as const] : [],
    ),
  );
  const endpoints: KnownNames['endpoints'] = new Map(
    (
      await Promise.all(
        all
          .filter(({ state }) => state !== 'DELETED')
          .map(async ({ name, uid: branchUid }) =>
            (await api.endpointNames(name)).flatMap(({ id, billedAs }) =>
              billedAs.map(it => [it, { id, branchUid }] as const),
            ),
          ),
      )
    ).flat(),
  );
  return { branches, endpoints };
}

/** For whoever runs it in the workspace. */
function showStatement({ sql, parameters }: Statement, json: boolean): string {
  if (json) {
    return JSON.stringify({ version: 1, sql, parameters }, undefined, 2);
  }
  return [
    '-- Run it on a SQL warehouse with these parameters, or give --warehouse:',
    ...parameters.map(({ name, value }) => `--   :${name} = ${value}`),
    `${sql};`,
  ].join('\n');
}

const cutShort = (by: CostBy) =>
  new LakebaseError('statement-failed', {
    problem: `The warehouse left out rows of the cost by ${by}`,
    remedy: 'Ask for fewer --days',
  });

const toJson = (
  { lines, newest, ...sums }: CostTable,
  shown: { by: CostBy; since: string; currency: string; project: string },
) =>
  JSON.stringify(
    { version: 1, ...shown, discountsIncluded: false, newest, ...sums, lines },
    undefined,
    2,
  );
