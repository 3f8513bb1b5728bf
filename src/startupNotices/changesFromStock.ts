import { Config } from '@backstage/config';
import { DATABASE_KEY } from '../config/config';
import { isSchemaMode } from '../config/pluginDatabase';

/**
 * Settings of a plugin that have another effect here than with Backstage's own
 * connector, which an installation that comes from there has to be told of.
 */
export function changesFromStock(
  rootConfig: Config,
  pluginId: string,
): string[] {
  return [
    roleChange(rootConfig, pluginId),
    schemaChange(rootConfig, pluginId),
  ].filter(change => change !== undefined);
}

/** What to tell of a division mode that is none. */
export function divisionModeNote(rootConfig: Config): string | undefined {
  const key = `${DATABASE_KEY}.pluginDivisionMode`;
  const mode = rootConfig.getOptionalString(key) ?? 'database';
  if (mode === 'database' || mode === 'schema') return undefined;
  return (
    `${key} is '${mode}', which is neither 'database' nor 'schema' and counts ` +
    `as 'database', as with ${STOCK}. Write which one is meant`
  );
}

const STOCK = "Backstage's own connector";

function roleChange(config: Config, pluginId: string): string | undefined {
  const key = `${DATABASE_KEY}.plugin.${pluginId}.role`;
  const own = config.getOptionalString(key);
  const base = config.getOptionalString(`${DATABASE_KEY}.role`);
  if (own === undefined || own === base) return undefined;
  const former = base === undefined ? 'the login' : `role ${base}`;
  return (
    `${key} takes effect: plugin '${pluginId}' acts as role ${own}, and what ` +
    `it creates belongs to that role. ${STOCK} ignores the key, so that the ` +
    `plugin acted as ${former}. What it created then must be handed over ` +
    'with REASSIGN OWNED or ALTER ... OWNER TO; or remove the key'
  );
}

function schemaChange(config: Config, pluginId: string): string | undefined {
  const database = config.getConfig(DATABASE_KEY);
  const key = `plugin.${pluginId}.ensureSchemaExists`;
  const own = database.getOptionalBoolean(key);
  const base = database.getOptionalBoolean('ensureSchemaExists') ?? false;
  const ensureExists =
    database.getOptionalBoolean(`plugin.${pluginId}.ensureExists`) ??
    database.getOptionalBoolean('ensureExists') ??
    true;
  const effective = isSchemaMode(database) && !ensureExists;
  if (!effective || own === undefined || own === base) return undefined;
  const [now, then] = own ? ['is', 'was not'] : ['is not', 'was'];
  return (
    `${DATABASE_KEY}.${key} takes effect: a missing schema of plugin ` +
    `'${pluginId}' ${now} created. ${STOCK} ignores the key, so that it ` +
    `${then}. Remove the key for what was`
  );
}
