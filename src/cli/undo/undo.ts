import type { JsonObject } from '@backstage/types';
import { stringify } from 'yaml';
import { ConfigurationError } from '../../errors';
import { quoteForShell } from '../../texts';
import { followedBy } from '../../undo/undoRules';
import { inProject, type Project } from '../branch/project';
import { EXIT } from '../exitCodes';
import { closingAfter } from '../interruption';
import { renderTable } from '../table';
import type { Terminal } from '../terminal';
import { portalAt, type PortalView } from './portalView';
import {
  type Choice,
  type Difference,
  findDifferences,
  parseChoice,
} from './differences';
import { restore, type RestoredTable } from './restore';
import { openSides, type Sides } from './sides';

export interface UndoOptions {
  config?: string[];
  at?: string;
  branch?: string;
  plugin?: string[];
  restore: boolean;
  replace: boolean;
  repoint: boolean;
  backend?: string;
  json: boolean;
}

/** Shows what has become of the data since a moment, and brings it back. */
export async function undo(
  options: UndoOptions,
  terminal: Terminal,
): Promise<number> {
  const choices = readChoices(options);
  return inProject(options.config, terminal, async (project, signal) => {
    const askPortal =
      options.backend === undefined
        ? undefined
        : portalAt(options.backend, terminal, signal);
    const sides = await openSides(options, project, terminal);
    const close = () => Promise.all([sides.then.close(), sides.now.close()]);
    const stage = { sides, options, choices, project, terminal, askPortal };
    return closingAfter(signal, close, () => onSides(stage));
  });
}

interface Stage {
  sides: Sides;
  options: UndoOptions;
  choices: readonly Choice[];
  project: Project;
  terminal: Terminal;
  askPortal?: () => Promise<PortalView>;
}

async function onSides({
  sides,
  options,
  choices,
  project,
  terminal,
  askPortal,
}: Stage): Promise<number> {
  const { error: tell } = terminal;
  tell('Comparing');
  const found = await findDifferences(sides, choices, tell);
  const damaged = found.filter(it => isDamaged(it));
  if (!options.json) terminal.out(renderDifferences(damaged));
  const outcome: Outcome = {
    branch: sides.branch,
    tables: found.map(withoutTables),
  };
  if (options.repoint) {
    const { name, host } = sides.endpoint;
    outcome.overlay = project.overlay(name, host);
    sayRepoint(sides, found, project, terminal, options);
  }
  const wanted = damaged.filter(
    it => it.gone > 0 || !it.tables.now || options.replace,
  );
  if (options.restore && wanted.length > 0) {
    tell('Bringing back');
    outcome.restored = await restore(sides, wanted, options.replace, tell);
    tell('Comparing again');
    const after = await findDifferences(sides, choices, tell);
    outcome.left = after
      // Of what follows another row, what is older than that stays away.
      .filter(it => !followedBy(it.plugin, it.table))
      .filter(it => it.gone > 0 || !it.tables.now)
      .map(withoutTables);
    outcome.portal = await askPortal?.();
  }
  say(outcome, wanted.length, options, terminal);
  const left = outcome.left ?? [];
  return left.length > 0 || outcome.portal?.found === false
    ? EXIT.finding
    : EXIT.ok;
}

type Shown = Omit<Difference, 'tables'>;

interface Outcome {
  branch: string;
  tables: Shown[];
  restored?: RestoredTable[];
  /** What could not be brought back. */
  left?: Shown[];
  portal?: PortalView;
  /** What leads the whole portal to the branch. */
  overlay?: JsonObject;
}

const isDamaged = ({ gone, changed, tables }: Difference) =>
  gone > 0 || changed > 0 || !tables.now;

const withoutTables = ({ tables: _, ...shown }: Difference): Shown => shown;

/** @throws ConfigurationError */
function readChoices({
  plugin = [],
  replace,
  restore: doIt,
  at,
  branch,
}: UndoOptions): Choice[] {
  if (at !== undefined && branch !== undefined) {
    throw new ConfigurationError(
      '--at and --branch both say which moment is meant',
      'Give one of them',
    );
  }
  const choices = plugin.map(parseChoice);
  if (!replace) return choices;
  if (!doIt) {
    throw new ConfigurationError('--replace is for --restore', 'Give both');
  }
  if (choices.length === 0 || choices.some(({ table }) => !table)) {
    throw new ConfigurationError(
      '--replace sets back rows that have changed since, so it is for named tables only',
      'Name them: --plugin catalog.final_entities',
    );
  }
  return choices;
}

const number = (value: number) => value.toLocaleString('en');

function renderDifferences(damaged: readonly Difference[]): string {
  if (damaged.length === 0) return 'Nothing is gone or changed';
  const columns = [
    'plugin',
    'table',
    'then',
    'now',
    'gone',
    'changed',
    'new since',
    '',
  ];
  const rows = damaged.map(it => [
    it.plugin,
    it.table,
    ...[it.then, it.now, it.gone, it.changed, it.added].map(number),
    it.notes.join('; '),
  ]);
  return renderTable(columns, rows);
}

function say(
  outcome: Outcome,
  wanted: number,
  options: UndoOptions,
  { out }: Terminal,
): void {
  const { restored, left = [], portal, branch } = outcome;
  if (options.json) {
    out(JSON.stringify({ version: 1, ...outcome }, undefined, 2));
    return;
  }
  if (!restored) {
    if (wanted === 0 || options.repoint) return;
    const id = branch.split('/').at(-1)!;
    const chosen = (options.plugin ?? [])
      .map(it => ` --plugin ${quoteForShell(it)}`)
      .join('');
    out(
      [
        'Nothing was changed. To bring back the rows that are gone, and leave all that is newer:',
        `  backstage-lakebase undo --branch ${id}${chosen} --restore`,
      ].join('\n'),
    );
    return;
  }
  const lines = restored.map(
    it =>
      `${it.plugin} ${it.table}: ${it.recreated ? 'made again, ' : ''}${number(it.inserted)} rows are back` +
      (it.replaced > 0 ? `, ${number(it.replaced)} are as they were` : ''),
  );
  const missing = left.map(
    it =>
      `${it.plugin} ${it.table}: ${number(it.gone)} rows are not back: newer ones have taken their place, or what they refer to is not there`,
  );
  out([...lines, ...missing, ...(portal ? [portal.text] : [])].join('\n'));
}

function sayRepoint(
  { endpoint, branch }: Sides,
  found: readonly Difference[],
  project: Project,
  { out }: Terminal,
  { json }: UndoOptions,
): void {
  if (json) return;
  const sum = (key: 'added' | 'changed') =>
    number(found.reduce((total, it) => total + it[key], 0));
  out(
    [
      `Going back to ${branch} as a whole loses what came since: ${sum('added')} new rows, and ${sum('changed')} changes.`,
      'Nothing was changed. To do it:',
      `1. Let the branch stay: databricks api patch '/api/2.0/postgres/${branch}?update_mask=spec.expiration' --json '{"spec":{"no_expiry":true}}'`,
      '2. Start all replicas with this on top of the configuration; they refuse to follow without a restart:',
      stringify(project.overlay(endpoint.name, endpoint.host)).trimEnd(),
      `3. ${project.configured} keeps its name and its data. Where the configuration names no branch, make the other one the default of the project instead:`,
      `   databricks api patch '/api/2.0/postgres/${project.api.project}?update_mask=spec.default_branch' --json '{"spec":{"default_branch":"${branch}"}}'`,
    ].join('\n'),
  );
}
