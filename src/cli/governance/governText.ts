import { partition } from 'lodash';
import type { SchemaVerdict } from '../../governance/grants';
import type { Registration } from '../../governance/registration';
import { quoteForShell, showControls } from '../../texts';

/** All that somebody has to run, and what not to. */
export interface Governance {
  registrations: Registration[];
  schemas: SchemaVerdict[];
  /** For Databricks SQL. */
  grants: string[];
  group?: string;
  /** Why the database cannot be registered, if that is known. */
  obstacle?: string;
  schemaMode: boolean;
  notCovered: string[];
}

/** Steps to copy, each with why it is there. */
export function renderGovernance(found: Governance): string {
  return [
    ...registerStep(found),
    ...grantStep(found),
    ...withheldStep(found),
    '# What this does not do',
    ...found.notCovered.map(line => `#  - ${line}`),
  ].join('\n');
}

function registerStep({
  registrations,
  schemaMode,
  obstacle,
}: Governance): string[] {
  if (registrations.length === 0) {
    return [
      '# There is nothing to register: neither the catalog nor the search of this',
      '# portal has tables yet. Start the portal once, and run this again.',
      '',
    ];
  }
  return [
    '# 1. Register, once, as somebody who may CREATE CATALOG on the metastore.',
    '#    What is registered is read by serverless SQL warehouses only: others',
    '#    answer PERMISSION_DENIED.',
    ...(schemaMode
      ? []
      : [
          '#    Each plugin has a database of its own here, and so becomes a catalog of',
          '#    its own; only those are registered that may be read. With',
          '#    `pluginDivisionMode: schema` one database, and one catalog, has all.',
        ]),
    ...(obstacle ? [`#    Careful: ${showControls(obstacle)}.`] : []),
    ...registrations.map(
      ({ path, body }) =>
        `databricks api post ${quoteForShell(path)} --json ${quoteForShell(JSON.stringify(body))}`,
    ),
    '',
  ];
}

function grantStep({ grants, schemas, group }: Governance): string[] {
  const readable = schemas.filter(it => it.readable);
  if (readable.length === 0) return [];
  return [
    '# 2. Grant, in Databricks SQL, schema by schema. Never grant on the whole',
    '#    catalog: it holds the schemas of all plugins, and of those to come.',
    ...readable.map(
      ({ catalog, schema, why }) =>
        `#     ${showControls(`${catalog}.${schema}`)}: ${why}`,
    ),
    ...readable
      .filter(({ unknown }) => unknown.length > 0)
      .map(
        ({ schema, unknown }) =>
          `#     Look at these first, which came with something else: ${showControls(
            unknown.map(table => `${schema}.${table}`).join(', '),
          )}`,
      ),
    ...(group === undefined
      ? ['#    The statements come with --group.']
      : grants.map(showControls)),
    '',
  ];
}

function withheldStep({ schemas, schemaMode }: Governance): string[] {
  const [, withheld] = partition(schemas, it => it.readable);
  if (withheld.length === 0) return [];
  return [
    schemaMode
      ? '# Not to be granted, though the catalog shows them:'
      : '# Not to be registered:',
    ...withheld.map(
      ({ plugin, why }) => `#  - ${showControls(plugin)}: ${why}`,
    ),
    '',
  ];
}
