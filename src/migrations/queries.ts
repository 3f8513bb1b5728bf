import type { Knex } from 'knex';

/** Whatever runs a statement and returns its rows. */
export interface Queries {
  rows: <Row extends object>(sql: string, values?: unknown[]) => Promise<Row[]>;
}

/** For statements without values. */
export const queriesOf = (knex: Knex): Queries => ({
  rows: async <Row extends object>(sql: string) => {
    const { rows } = await knex.raw<{ rows: Row[] }>(sql);
    return rows;
  },
});
