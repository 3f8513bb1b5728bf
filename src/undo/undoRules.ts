/**
 * What the database of a plugin gives itself, and nobody may set back: column
 * by column, or the whole table with `*`.
 */
const OWN: Record<string, Record<string, string[]>> = {
  catalog: {
    // Given by a trigger at commit, in the order of commits.
    final_entities: ['generation'],
    catalog_generation_counter: ['*'],
    // Written anew by each refresh, with other numbers.
    refresh_state_references: ['id'],
    location_update_log: ['*'],
    // What is to be computed next; it is found out anew.
    stitch_queue: ['*'],
  },
};

export const isOwnTable = (plugin: string, table: string): boolean =>
  ownColumns(plugin, table).includes('*');

export const ownColumns = (plugin: string, table: string): string[] =>
  OWN[plugin]?.[table] ?? [];

/** A table whose rows are written together with one row of another table. */
export interface Following {
  table: string;
  /** Of both, by which they belong together. */
  column: string;
}

const FOLLOWING: Record<string, Record<string, Following>> = {
  catalog: { search: { table: 'final_entities', column: 'entity_id' } },
};

/** What its rows are as new as; those of a newer row are not set back. */
export const followedBy = (
  plugin: string,
  table: string,
): Following | undefined => FOLLOWING[plugin]?.[table];
