import type { JsonValue } from '@backstage/types';

interface Pattern {
  path: RegExp;
  /** Any value when the key is left out; none when it is undefined. */
  stock?: JsonValue;
  ours?: JsonValue;
}

/** A difference that is wanted. */
export interface Difference {
  name: string;
  reason: string;
  /** Only rows that name it may show it; otherwise any row. */
  namedByRow?: boolean;
  changes: Pattern[];
}

/** Defects of the stock connector that ours mends. */
export const STOCK_DEFECTS: Difference[] = [
  {
    name: 'pools-closed-at-shutdown',
    reason: 'The stock shutdown hook throws before it closes a pool.',
    changes: [{ path: /^closedAtShutdown$/, stock: false, ours: true }],
  },
  {
    name: 'role-of-raw-connections',
    reason:
      'The stock connector sets the role when the pool has made a connection, ' +
      'so that LISTEN of the events backend runs as the login.',
    changes: [
      { path: /^rawSession\.user$/, stock: '<login>', ours: 'portal_owner' },
      // Postgres leaves out a schema that the role may not use.
      { path: /^rawSession\.schema$/, stock: 'catalog', ours: null },
    ],
  },
  {
    name: 'missing-role',
    reason:
      'The stock connector does not wait for SET ROLE: with a missing role the ' +
      'plugin runs as the login, and the error is an unhandled rejection.',
    namedByRow: true,
    changes: [{ path: /^refused$/, stock: 'no', ours: 'at getClient' }],
  },
  {
    name: 'half-open-connections',
    reason:
      'Knex lets go of a connection whose search path is refused without ' +
      'closing it.',
    namedByRow: true,
    changes: [{ path: /^leftOpen$/, stock: true, ours: false }],
  },
  {
    name: 'plugin-role',
    reason: 'The stock connector accepts plugin.<id>.role without effect.',
    namedByRow: true,
    changes: [
      { path: /^(rawSession|session)\.user$/, ours: 'portal_owner' },
      { path: /^(rawSession|session)\.user$/, ours: 'other_owner' },
      {
        path: /^created\.databricks_postgres\.schemas\.catalog$/,
        ours: 'other_owner',
      },
      {
        path: /^created\.backstage_plugin_catalog\.owner$/,
        ours: 'portal_owner',
      },
    ],
  },
  {
    name: 'plugin-ensureSchemaExists',
    reason:
      'The stock connector reads plugin.<id>.ensureSchemaExists by a wrong name.',
    namedByRow: true,
    changes: [
      { path: /^created\.databricks_postgres\.schemas\.catalog$/ },
      { path: /^(rawSession|session)\.schema$/ },
    ],
  },
  {
    name: 'failure-remembered',
    reason: 'The stock service remembers a failed getClient() until a restart.',
    namedByRow: true,
    changes: [{ path: /^refusedAfterMending$/, stock: true, ours: false }],
  },
  {
    name: 'admin-database',
    reason:
      'The stock connector creates from database postgres, and goes there even ' +
      'when nothing has to be created.',
    namedByRow: true,
    changes: [{ path: /^refused$/, stock: 'at getClient', ours: 'no' }],
  },
  {
    name: 'empty-is-absent',
    reason:
      'An empty name hides the default in the stock connector: the plugin logs ' +
      'in to a database named as the user, or without an application_name.',
    namedByRow: true,
    changes: [
      { path: /^refused$/, stock: 'at the first query', ours: 'no' },
      {
        path: /^(session\.application|rawSession\.application|config\.connection\.application_name)$/,
        stock: '',
        ours: 'backstage_plugin_catalog',
      },
    ],
  },
  {
    name: 'application-name-forgotten',
    reason:
      'The stock connector gives no application_name to a plugin whose client ' +
      "is not the base's.",
    namedByRow: true,
    changes: [
      {
        path: /^(session\.application|rawSession\.application|config\.connection\.application_name)$/,
        ours: 'backstage_plugin_catalog',
      },
    ],
  },
  {
    name: 'schema-in-other-database',
    reason:
      "The stock connector creates the schema of a plugin in the base's " +
      'database, even when the plugin has a database of its own.',
    namedByRow: true,
    changes: [
      { path: /^created\.\w+\.schemas\.catalog$/ },
      { path: /^(rawSession|session)\.schema$/ },
    ],
  },
];

/** What Lakebase needs. */
export const LAKEBASE_NEEDS: Difference[] = [
  {
    name: 'pool-waits',
    reason:
      'A connection may have to wait for a credential and for a compute that ' +
      'wakes up, and the error that ends the wait is ours.',
    changes: [
      {
        path: /^config\.pool\.createTimeoutMillis$/,
        stock: undefined,
        ours: 65_000,
      },
      {
        path: /^config\.pool\.acquireTimeoutMillis$/,
        stock: undefined,
        ours: 70_000,
      },
      { path: /^pool\.createTimeoutMillis$/, stock: 30_000, ours: 65_000 },
      { path: /^pool\.acquireTimeoutMillis$/, stock: 60_000, ours: 70_000 },
    ],
  },
  {
    name: 'verified-tls',
    reason: 'The credential goes over the connection in clear text.',
    changes: [
      { path: /^config\.connection\.ssl\.ca$/, ours: '<certificate>' },
      { path: /^config\.connection\.ssl\.rejectUnauthorized$/, ours: true },
      {
        path: /^config\.connection\.ssl\.checkServerIdentity$/,
        ours: '<function>',
      },
      // The two ways of the table to write it in a connection string.
      { path: /^config\.connection\.ssl$/, stock: false },
      { path: /^config\.connection\.ssl(mode|rootcert)$/ },
    ],
  },
  {
    name: 'tcp-keep-alive',
    reason: 'A gateway or a suspended compute drops idle connections silently.',
    changes: [
      { path: /^config\.connection\.keepAlive$/, stock: undefined, ours: true },
      {
        path: /^config\.connection\.keepAliveInitialDelayMillis$/,
        stock: undefined,
        ours: 30_000,
      },
    ],
  },
  {
    name: 'port-as-number',
    reason:
      'The port is said outright, or pg would take it from PGPORT, and pg ' +
      'reads it as a number anyway.',
    changes: [
      {
        path: /^config\.connection\.port$/,
        stock: '<port as text>',
        ours: '<port>',
      },
    ],
  },
  {
    name: 'log-adapter',
    reason: "Knex's own log goes to the console, past redaction.",
    changes: [
      {
        path: /^config\.log\b/,
      },
    ],
  },
  {
    name: 'config-without-settings',
    reason:
      'The whole of backend.database ends up in the Knex config of the stock ' +
      'connector; with ours that would be the client secret too.',
    changes: [
      {
        path: /^config\.(prefix|schemaPrefix|pluginDivisionMode|ensureExists|ensureSchemaExists|role|skipMigrations|keepalive|knexConfig|plugin)\b/,
        ours: undefined,
      },
    ],
  },
  {
    name: 'default-database',
    reason:
      'A Lakebase branch has databricks_postgres, none named as the user.',
    namedByRow: true,
    changes: [{ path: /^refused$/, stock: 'at getClient', ours: 'no' }],
  },
  {
    name: 'connects-in-getClient',
    reason:
      'The endpoint is woken up before the plugin gets its client, so that no ' +
      'plugin mistakes a sleeping database for an unsuitable one.',
    namedByRow: true,
    changes: [
      { path: /^refused$/, stock: 'at the first query', ours: 'at getClient' },
    ],
  },
  {
    name: 'refused-before-sending',
    reason: 'What could not work is refused at start, before anything is sent.',
    namedByRow: true,
    changes: [{ path: /^refused$/, stock: 'at getClient', ours: 'at start' }],
  },
  {
    name: 'one-way-to-connect',
    reason:
      'connectionString would override host, TLS and login after they are checked.',
    namedByRow: true,
    changes: [{ path: /^refused$/, stock: 'no', ours: 'at start' }],
  },
  {
    name: 'connection-looked-up',
    reason:
      'Host and user come from the workspace, so connection may be empty.',
    namedByRow: true,
    changes: [{ path: /^refused$/, stock: 'at getClient', ours: 'no' }],
  },
];

export const DIFFERENCES = [...STOCK_DEFECTS, ...LAKEBASE_NEEDS];
