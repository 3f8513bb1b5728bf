import { escapeIdentifier, escapeLiteral } from 'pg';

/** The schema of the views, beside those of the plugins. */
export const VIEWS = 'backstage_views';

const READ = `${VIEWS}.read_entities()`;

const REF = `lower((entity->>'kind') || ':'
      || coalesce(entity->'metadata'->>'namespace', 'default') || '/'
      || (entity->'metadata'->>'name'))`;

/** One entity in another form than the others is no reason for no answer. */
const when = (type: 'array' | 'object', value: string) =>
  `CASE json_typeof(${value}) WHEN '${type}' THEN ${value} END`;

const relations = `json_array_elements(${when('array', `entity->'relations'`)}) AS r`;

const firstRelation = (condition: string) => `(
      SELECT r->>'targetRef' FROM ${relations} WHERE ${condition} LIMIT 1)`;

/** What of an entity is in each view. */
const SELECTS: Record<string, string> = {
  entities: `
    ${REF} AS entity_ref,
    entity->>'kind' AS kind,
    coalesce(entity->'metadata'->>'namespace', 'default') AS namespace,
    entity->'metadata'->>'name' AS name,
    entity->'metadata'->>'title' AS title,
    entity->'metadata'->>'description' AS description,
    entity->'metadata'->>'uid' AS uid,
    entity->'spec'->>'type' AS type,
    entity->'spec'->>'lifecycle' AS lifecycle,
    coalesce(${firstRelation(`r->>'type' = 'ownedBy'`)},
      entity->'spec'->>'owner') AS owner,
    coalesce(${firstRelation(`r->>'type' = 'partOf' AND r->>'targetRef' LIKE 'system:%'`)},
      entity->'spec'->>'system') AS system
  FROM ${READ}`,
  entity_relations: `
    ${REF} AS source_ref, r->>'type' AS type, r->>'targetRef' AS target_ref
  FROM ${READ}, ${relations}`,
  entity_annotations: `
    ${REF} AS entity_ref, a.key AS name, a.value
  FROM ${READ}, json_each_text(${when('object', `entity->'metadata'->'annotations'`)}) AS a`,
  entity_labels: `
    ${REF} AS entity_ref, l.key AS name, l.value
  FROM ${READ}, json_each_text(${when('object', `entity->'metadata'->'labels'`)}) AS l`,
  entity_tags: `
    ${REF} AS entity_ref, t.value AS tag
  FROM ${READ}, json_array_elements_text(${when('array', `entity->'metadata'->'tags'`)}) AS t`,
};

export const VIEW_NAMES = Object.keys(SELECTS);

/**
 * SQL that makes flat views of the catalog's entities, the same when it is run
 * twice. They read by a function whose body Postgres does not look into, so
 * that no migration of the catalog ever fails because of them; and it reads as
 * the catalog's owner, so that whoever reads the views needs no right on
 * anything else.
 *
 * @param schema - that of the catalog's tables.
 */
export function viewStatements(schema: string): string[] {
  const body =
    `SELECT final_entity::json FROM ${escapeIdentifier(schema)}.final_entities ` +
    'WHERE final_entity IS NOT NULL';
  return [
    `CREATE SCHEMA IF NOT EXISTS ${VIEWS};`,
    `CREATE OR REPLACE FUNCTION ${READ} RETURNS TABLE (entity json)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS ${escapeLiteral(body)};`,
    `REVOKE ALL ON FUNCTION ${READ} FROM PUBLIC;`,
    ...Object.entries(SELECTS).map(
      ([name, select]) =>
        `CREATE OR REPLACE VIEW ${VIEWS}.${name} AS SELECT${select};`,
    ),
  ];
}

/** What a role of Postgres needs to read them, and nothing of the plugins. */
export function viewGrants(group: string): string[] {
  const to = escapeIdentifier(group);
  return [
    `GRANT USAGE ON SCHEMA ${VIEWS} TO ${to};`,
    `GRANT SELECT ON ALL TABLES IN SCHEMA ${VIEWS} TO ${to};`,
    `GRANT EXECUTE ON FUNCTION ${READ} TO ${to};`,
  ];
}
