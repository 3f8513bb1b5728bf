import { CORE_TABLES, KNEX_TABLE, PLUGIN_TABLES } from '../branches/scrubRules';

/** What a plugin keeps, and whether many may read it. */
export interface SchemaRule {
  readable: boolean;
  why: string;
}

const readable = (why: string): SchemaRule => ({ readable: true, why });
const withheld = (why: string): SchemaRule => ({ readable: false, why });

/** By plugin id. */
const RULES: Record<string, SchemaRule> = {
  catalog: readable('entities and their relations'),
  search: readable('the texts that searches find'),
  app: withheld('the files of the web app, of no use in a query'),
  auth: withheld(
    'keys that sign tokens, sessions of users and clients of OAuth: who reads them can be anybody',
  ),
  events: withheld(
    'payloads of webhooks, which may hold what others keep secret',
  ),
  notifications: withheld('messages to single users'),
  permission: withheld('who may do what'),
  scaffolder: withheld(
    'secrets and inputs of tasks, and the logs of what they did',
  ),
  signals: withheld('messages to the browsers of single users'),
  'user-settings': withheld('what single users have set for themselves'),
};

export const ruleOf = (
  plugin: string,
  tables: readonly string[],
): SchemaRule => {
  if (plugin in RULES) return RULES[plugin];
  return unknownTables(plugin, tables).length === 0
    ? withheld('it keeps nothing of its own')
    : withheld(
        'nobody has looked at what this plugin keeps: look at its tables',
      );
};

/** Tables that came with something else, such as a module of the plugin. */
export const unknownTables = (
  plugin: string,
  tables: readonly string[],
): string[] =>
  tables.filter(
    table =>
      !KNEX_TABLE.test(table) &&
      !(table in CORE_TABLES.tables) &&
      !(table in (PLUGIN_TABLES[plugin]?.tables ?? {})),
  );
