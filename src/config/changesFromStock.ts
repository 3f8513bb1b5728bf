import type { Blocks } from './blocks';
import { DATABASE_KEY, pluginKey } from './keys';
import { isSchemaMode } from './pluginDatabase';

const STOCK = "Backstage's own connector";

/**
 * Warnings for an installation that comes from Backstage's own connector:
 * which settings of a plugin have another effect here.
 */
export function describeChanges(blocks: Blocks, pluginId: string): string[] {
  return [
    describeRole(blocks, pluginId),
    describeSchema(blocks, pluginId),
  ].filter(change => change !== undefined);
}

/** Warnings about settings of all plugins. */
export const describeNotes = (blocks: Blocks): string[] =>
  [describeDivisionMode(blocks), describeKeepalive(blocks)].filter(
    note => note !== undefined,
  );

function describeDivisionMode({
  database: { pluginDivisionMode: mode = 'database' },
}: Blocks): string | undefined {
  if (mode === 'database' || mode === 'schema') return undefined;
  return (
    `${DATABASE_KEY}.pluginDivisionMode is '${mode}', which is neither ` +
    "'database' nor 'schema' and counts as 'database', as with " +
    `${STOCK}. Write which one is meant`
  );
}

function describeKeepalive({ database }: Blocks): string | undefined {
  if (!database.keepalive) return undefined;
  return (
    `${DATABASE_KEY}.keepalive has no effect on Lakebase: a connection that ` +
    'was idle is tried before a query gets it, and a query per plugin and ' +
    'minute would keep the endpoint from scaling to zero. Remove the key'
  );
}

function describeRole(
  { database, plugins }: Blocks,
  pluginId: string,
): string | undefined {
  const own = plugins.get(pluginId)?.role;
  if (own === undefined || own === database.role) return undefined;
  const former =
    database.role === undefined ? 'the login' : `role ${database.role}`;
  return (
    `${pluginKey(pluginId)}.role takes effect: plugin '${pluginId}' acts as ` +
    `role ${own}, and what it creates belongs to that role. ${STOCK} ignores ` +
    `the key, so the plugin acted as ${former}. What it created then must be ` +
    'handed over with REASSIGN OWNED or ALTER ... OWNER TO; or remove the key'
  );
}

function describeSchema(blocks: Blocks, pluginId: string): string | undefined {
  const { database } = blocks;
  const plugin = blocks.plugins.get(pluginId) ?? {};
  const own = plugin.ensureSchemaExists;
  const base = database.ensureSchemaExists ?? false;
  const ensureExists = plugin.ensureExists ?? database.ensureExists ?? true;
  const effective = isSchemaMode(blocks) && !ensureExists;
  if (!effective || own === undefined || own === base) return undefined;
  const [now, then] = own ? ['is', 'was not'] : ['is not', 'was'];
  return (
    `${pluginKey(pluginId)}.ensureSchemaExists takes effect: a missing schema ` +
    `of plugin '${pluginId}' ${now} created. ${STOCK} ignores the key, so it ` +
    `${then}. Remove the key for what was`
  );
}
