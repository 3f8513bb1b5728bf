import { ruleOf, unknownTables } from './schemaRules';

/** A schema of a registered database. */
export interface GovernedSchema {
  database: string;
  /** Of Unity Catalog. */
  catalog: string;
  schema: string;
  /** Whose tables are in it. */
  plugin: string;
  tables: readonly string[];
}

export interface SchemaVerdict extends GovernedSchema {
  readable: boolean;
  why: string;
  /** In a schema that may be read: what nobody has looked at. */
  unknown: string[];
}

export const judgeSchema = (schema: GovernedSchema): SchemaVerdict => ({
  ...schema,
  ...ruleOf(schema.plugin, schema.tables),
  unknown: unknownTables(schema.plugin, schema.tables),
});

/**
 * Schema by schema and never on the catalog: in it lie those of all plugins,
 * and what is granted there is granted for the schemas of tomorrow, too.
 */
export function grantsFor(
  group: string,
  schemas: readonly { catalog: string; schema: string }[],
): string[] {
  const to = quoted(group);
  const catalogs = [...new Set(schemas.map(({ catalog }) => catalog))];
  return [
    ...catalogs.map(
      catalog => `GRANT USE CATALOG ON CATALOG ${quoted(catalog)} TO ${to};`,
    ),
    ...schemas.map(
      ({ catalog, schema }) =>
        `GRANT USE SCHEMA, SELECT ON SCHEMA ${quoted(catalog)}.${quoted(schema)} TO ${to};`,
    ),
  ];
}

/** As Databricks quotes names. */
const quoted = (name: string) => `\`${name.replaceAll('`', '``')}\``;

/** What one must not expect of the platform. */
export const NOT_COVERED = [
  'Row filters and column masks of Unity Catalog apply to what is read through it. They do not reach a login on port 5432, neither of production nor of a branch: what a branch must not show is taken out with `backstage-lakebase scrub`.',
  "Backstage's own permission policies do not apply to SQL: whoever has the grant reads all entities.",
  'Unity Catalog caches metadata: a new table shows after a while.',
];
