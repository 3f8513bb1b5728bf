/** What is done to a table of a copy: all its rows go, or what some columns hold. */
export type ScrubRule =
  | { delete: 'all'; why: string }
  | {
      /** Columns that are emptied. */
      clear: readonly string[];
      /** Whose rows are ended, so that nobody takes them up again. */
      end: { column: string; from: readonly string[]; to: string };
      why: string;
    };

/** Whose tables are known, and to which version of its package. */
export interface PluginRules {
  readFrom: string;
  tables: Record<string, ScrubRule | 'keep'>;
}

const all = (why: string): ScrubRule => ({ delete: 'all', why });

/** What the core services keep in the database of every plugin. */
export const CORE_TABLES: PluginRules = {
  readFrom: '@backstage/backend-defaults 0.16 to 0.19',
  tables: {
    backstage_backend_public_keys__keys: all(
      'keys by which plugins believe one another: production would believe the copy',
    ),
    backstage_backend_tasks__tasks: 'keep',
  },
};

/** By plugin id. A plugin or a table that is not here is not known. */
export const PLUGIN_TABLES: Record<string, PluginRules> = {
  app: {
    readFrom: '@backstage/plugin-app-backend 0.5',
    tables: { static_assets_cache: 'keep' },
  },
  auth: {
    readFrom: '@backstage/plugin-auth-backend 0.25 to 0.31',
    tables: {
      signing_keys: all('keys that sign the tokens of users'),
      sessions: all('sessions of users, with the tokens of their providers'),
      user_info: all('what is known of the users who logged in'),
      oidc_clients: all('OAuth clients and their secrets'),
      oauth_authorization_sessions: all('logins of OAuth clients under way'),
      oidc_authorization_codes: all('codes that are good for a token'),
      offline_sessions: all('refresh tokens'),
    },
  },
  catalog: {
    readFrom: '@backstage/plugin-catalog-backend 3.0 to 4.0',
    tables: {
      catalog_generation_counter: 'keep',
      final_entities: 'keep',
      location_update_log: 'keep',
      locations: 'keep',
      refresh_keys: 'keep',
      refresh_state: 'keep',
      refresh_state_references: 'keep',
      relations: 'keep',
      search: 'keep',
      stitch_queue: 'keep',
    },
  },
  events: {
    readFrom: '@backstage/plugin-events-backend 0.5 and 0.6',
    tables: {
      event_bus_events: all('events that are still to be delivered'),
      event_bus_subscriptions: all('who is to get them'),
    },
  },
  notifications: {
    readFrom: '@backstage/plugin-notifications-backend 0.5 and 0.6',
    tables: {
      notification: all('messages to users'),
      broadcast: all('messages to all users'),
      broadcast_user_status: all('who has read them'),
      user_settings: all('how users want to be notified'),
    },
  },
  permission: {
    readFrom: '@backstage-community/plugin-rbac-backend 7 and 8',
    tables: {
      casbin_rule: 'keep',
      'policy-conditions': 'keep',
      'policy-metadata': 'keep',
      'role-condition-policies': 'keep',
      'role-metadata': 'keep',
    },
  },
  scaffolder: {
    readFrom: '@backstage/plugin-scaffolder-backend 3 and 4',
    tables: {
      tasks: {
        clear: ['secrets', 'state', 'workspace'],
        end: {
          column: 'status',
          from: ['open', 'processing'],
          to: 'cancelled',
        },
        why: 'secrets, state and files of tasks; open ones would go on by themselves',
      },
      task_events: 'keep',
    },
  },
  search: {
    readFrom: '@backstage/plugin-search-backend-module-pg 0.5',
    tables: { documents: 'keep' },
  },
  'user-settings': {
    readFrom: '@backstage/plugin-user-settings-backend 0.3 and 0.4',
    tables: { user_settings: all('what users have set for themselves') },
  },
};

/** What Knex keeps of migrations, whatever plugin they are of. */
export const KNEX_TABLE = /knex_migrations(_lock)?$/;

/** A column by this name may hold what opens something. */
export const SECRET_COLUMN =
  /secret|token|passw|credential|private_?key|api_?key|session|refresh_?key/i;
