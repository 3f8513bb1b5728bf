import { copyFile, mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Knex } from 'knex';

/** The last migrations of catalog 3.4, and of auth before 0.31. */
export const LAST_OF_CATALOG_3_4 =
  '20250514000000_refresh_state_references_big_increments.js';
export const LAST_OF_AUTH_0_30 = '20260317120000_drop_offline_sessions_fk.js';

/** Applies what is in a folder up to a file, from a copy in `scratch`. */
export async function applyUpTo(
  knex: Knex,
  directory: string,
  last: string,
  scratch: string,
): Promise<void> {
  await mkdir(scratch, { recursive: true });
  const copy = await mkdtemp(join(scratch, 'migrations-'));
  for (const file of await readdir(directory)) {
    if (file.endsWith('.js') && file <= last) {
      await copyFile(join(directory, file), join(copy, file));
    }
  }
  await knex.migrate.latest({ directory: copy });
}

/** Fills the tables of a catalog of those years, with rows that stand twice. */
export async function fillCatalog(knex: Knex, entities: number): Promise<void> {
  const all = 'pg_catalog.generate_series(1, ?::int) n';
  await knex.raw(
    `INSERT INTO refresh_state (entity_id, entity_ref, unprocessed_entity, processed_entity, errors, next_update_at, last_discovery_at)
     SELECT 'id-' || n, 'component:default/component-' || n, '{"kind":"Component"}', '{"kind":"Component"}', '[]', now(), now() FROM ${all}`,
    [entities],
  );
  // Until catalog 3.5, and required there.
  const ticket = (await knex.schema.hasColumn(
    'final_entities',
    'stitch_ticket',
  ))
    ? { column: 'stitch_ticket,', value: "''," }
    : { column: '', value: '' };
  await knex.raw(
    `INSERT INTO final_entities (entity_id, entity_ref, hash, ${ticket.column} final_entity)
     SELECT 'id-' || n, 'component:default/component-' || n, md5(n::text), ${ticket.value}
       '{"kind":"Component","metadata":{"name":"component-' || n || '","description":"' || repeat('x', 500) || '"}}' FROM ${all}`,
    [entities],
  );
  await knex.raw(
    `INSERT INTO search (entity_id, key, value, original_value)
     SELECT 'id-' || n, 'metadata.key-' || k, 'value ' || n || ' of ' || k, 'Value ' || n
     FROM ${all}, pg_catalog.generate_series(1, 30) k`,
    [entities],
  );
  // One in a hundred stands twice, as in catalogs that have lived for long;
  // since catalog 3.7 none can.
  await knex.raw(
    `INSERT INTO search (entity_id, key, value, original_value)
     SELECT entity_id, key, value, original_value FROM search
     WHERE key = 'metadata.key-1' AND entity_id LIKE '%00'
     ON CONFLICT DO NOTHING`,
  );
  await knex.raw(
    `INSERT INTO relations (originating_entity_id, source_entity_ref, type, target_entity_ref)
     SELECT 'id-' || n, 'component:default/component-' || n, 'ownedBy', 'group:default/team-' || (n % 50) FROM ${all}`,
    [entities],
  );
}

/** Clients that an app has registered by itself, which auth 0.31 removes. */
export async function fillAuth(knex: Knex, clients: number): Promise<void> {
  await knex.raw(
    `INSERT INTO oidc_clients (client_id, client_secret, client_name, response_types, grant_types, redirect_uris)
     SELECT 'client-' || n, 'secret', 'client', '[]', '[]', '[]' FROM pg_catalog.generate_series(1, ?::int) n`,
    [clients],
  );
  await knex.raw(
    `INSERT INTO offline_sessions (id, user_entity_ref, oidc_client_id, token_hash)
     SELECT 'session-' || n, 'user:default/guest', 'client-' || n, 'hash' FROM pg_catalog.generate_series(1, ?::int) n`,
    [clients],
  );
}
