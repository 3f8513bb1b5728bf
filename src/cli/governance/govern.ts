import { uniqBy } from 'lodash';
import { escapeLiteral } from 'pg';
import { ConfigurationError } from '../../errors';
import { grantsFor, judgeSchema, NOT_COVERED } from '../../governance/grants';
import { registrationOf } from '../../governance/registration';
import { viewGrants, VIEWS, viewStatements } from '../../governance/views';
import { inProject, type Project } from '../branch/project';
import { readSchema } from '../doctor/findTables';
import { EXIT } from '../exitCodes';
import { openAccess } from '../openAccess';
import type { Terminal } from '../terminal';
import { type PluginSchemas, readSchemas } from './pluginSchemas';
import { type Governance, renderGovernance } from './governText';

export interface GovernOptions {
  config?: string[];
  catalog: string;
  group?: string;
  views: boolean;
  json: boolean;
}

const CATALOG = 'catalog';

/** Prints what puts the portal's data under Unity Catalog, and changes nothing. */
export function govern(
  options: GovernOptions,
  terminal: Terminal,
): Promise<number> {
  checkNames(options);
  if (options.views) return printViews(options, terminal);
  return inProject(options.config, terminal, async project => {
    const access = await openAccess(options.config, terminal);
    const schemas = await readSchemas(access).finally(() => access.close());
    const { schemaMode } = access.settings;
    const found = await describe(options, project, schemas, schemaMode);
    terminal.out(
      options.json
        ? JSON.stringify({ version: 1, ...found }, undefined, 2)
        : renderGovernance(found),
    );
    return EXIT.ok;
  });
}

async function describe(
  { catalog, group }: GovernOptions,
  project: Project,
  { schemas, viewed }: PluginSchemas,
  schemaMode: boolean,
): Promise<Governance> {
  const { configured } = project;
  const { source } = await project.branch(configured);
  const judged = schemas.map(schema =>
    judgeSchema({
      ...schema,
      catalog: schemaMode ? catalog : `${catalog}_${idOf(schema.plugin)}`,
    }),
  );
  const readable = judged.filter(it => it.readable);
  const registrations = uniqBy(readable, it => it.catalog).map(it =>
    registrationOf(it.catalog, it.database, configured),
  );
  const views = readable
    .filter(it => it.plugin === CATALOG && viewed.includes(it.database))
    .map(it => ({ catalog: it.catalog, schema: VIEWS }));
  return {
    registrations,
    schemas: judged,
    grants:
      group === undefined ? [] : grantsFor(group, [...readable, ...views]),
    group,
    obstacle:
      source === undefined
        ? undefined
        : `${configured} is a copy of ${source}. If that one is registered, the copy cannot be: it has inherited the mark`,
    schemaMode,
    notCovered: NOT_COVERED,
  };
}

/** As much of a plugin's id as a name without quotes may hold. */
const idOf = (plugin: string) => plugin.replace(/\W/g, '_');

async function printViews(
  { config, group, json }: GovernOptions,
  terminal: Terminal,
): Promise<number> {
  const access = await openAccess(config, terminal, CATALOG);
  try {
    const schema = readSchema(access.plugin);
    const statements = viewStatements(schema);
    const grants = group === undefined ? [] : viewGrants(group);
    if (json) {
      const views = { version: 1, schema: VIEWS, statements, grants };
      terminal.out(JSON.stringify(views, undefined, 2));
      return EXIT.ok;
    }
    terminal.out(
      [
        `-- Flat views of the catalog, in a schema of their own. As the owner of the`,
        `-- catalog's tables: backstage-lakebase govern --views | backstage-lakebase psql catalog`,
        ...roleHint(group),
        'BEGIN;',
        ...statements,
        ...grants,
        'COMMIT;',
      ].join('\n'),
    );
    return EXIT.ok;
  } finally {
    await access.close();
  }
}

const roleHint = (group: string | undefined) =>
  group === undefined
    ? []
    : [
        '-- The group needs a role first, once for each branch, by whoever may make roles:',
        '--   CREATE EXTENSION IF NOT EXISTS databricks_auth;',
        `--   SELECT databricks_create_role(${escapeLiteral(group)}, 'GROUP');`,
      ];

/** @throws ConfigurationError */
function checkNames({ catalog, group }: GovernOptions): void {
  // What Unity Catalog takes without quotes: others break in half of all tools.
  if (!/^[a-z_][a-z0-9_]{0,200}$/i.test(catalog)) {
    throw new ConfigurationError(
      `--catalog '${catalog}' is no name of a catalog`,
      'Take letters, digits and underscores',
    );
  }
  if (group !== undefined && (group.trim() === '' || /\p{Cc}/u.test(group))) {
    throw new ConfigurationError(
      '--group is empty or has control characters in it',
      'Give the display name of the group, as the account shows it',
    );
  }
}
