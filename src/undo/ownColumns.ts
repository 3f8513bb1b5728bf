/**
 * What the database of a plugin gives itself, and nobody may set back: column
 * by column, or the whole table with `*`.
 */
const OWN: Record<string, Record<string, string[]>> = {
  catalog: {
    // Given by a trigger at commit, in the order of commits.
    final_entities: ['generation'],
    catalog_generation_counter: ['*'],
    // What is to be computed next; it is found out anew.
    stitch_queue: ['*'],
  },
};

export const isOwnTable = (plugin: string, table: string): boolean =>
  ownColumns(plugin, table).includes('*');

export const ownColumns = (plugin: string, table: string): string[] =>
  OWN[plugin]?.[table] ?? [];
