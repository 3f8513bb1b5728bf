import knexFactory, { type Knex } from 'knex';
import type { Emulator } from '../emulator';
import { targetOf } from './contenders';
import { connectionOf } from './contenders/knexDatabase';

/** Makes a plugin's schema, before the plugin has started. */
export async function makeSchema(
  emulator: Emulator,
  schema: string,
): Promise<Knex> {
  const target = await targetOf(emulator);
  const knex = knexFactory({
    client: 'pg',
    connection: { ...connectionOf(target), password: target.staticPassword },
    searchPath: [schema],
  });
  await knex.raw('CREATE SCHEMA ??', [schema]);
  return knex;
}
