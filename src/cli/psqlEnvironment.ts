import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { escapeIdentifier } from 'pg';
import type { Env } from '../config/identitySources';
import type { PluginDatabase } from '../config/pluginDatabase';
import type { ConnectionTarget } from '../connections/target';

/** Variables of libpq and psql that say how to show things, not where to go. */
const KEPT = [
  'PGCLIENTENCODING',
  'PGDATESTYLE',
  'PGTZ',
  'PG_COLOR',
  'PG_COLORS',
];

export interface PsqlLogin {
  target: ConnectionTarget;
  plugin: PluginDatabase;
  password: string;
  /** Whom to trust: the configured authorities, or those of this process. */
  caFile: string;
  connectTimeoutMs: number;
}

/** What the credential is minted with is nothing to psql. */
const SECRET = /^DATABRICKS_/i;

/** The environment in which psql logs in as the backend does. */
export async function psqlEnvironment(
  env: Env,
  { target, plugin, password, caFile, connectTimeoutMs }: PsqlLogin,
): Promise<Env> {
  const others = Object.entries(env).filter(
    ([name]) =>
      KEPT.includes(name.toUpperCase()) ||
      !(/^PG/i.test(name) || SECRET.test(name)),
  );
  const { port, user, database } = target;
  return {
    ...Object.fromEntries(others),
    ...(await locateServer(target.host, plugin)),
    ...verifyServer(plugin, caFile),
    PGPORT: String(port),
    PGUSER: user,
    PGDATABASE: database,
    PGPASSWORD: password,
    // libpq would ask for it first, unencrypted.
    PGGSSENCMODE: 'disable',
    PGAPPNAME: 'backstage-lakebase psql',
    PGCONNECT_TIMEOUT: String(Math.ceil(connectTimeoutMs / 1000)),
    PGOPTIONS: writeOptions(plugin),
  };
}

/**
 * libpq asks for, and verifies, the name in PGHOST, but dials PGHOSTADDR: as
 * the backend does with an alias of the endpoint.
 */
async function locateServer(
  host: string,
  plugin: PluginDatabase,
): Promise<Env> {
  const { servername } = getTlsOptions(plugin);
  if (!servername) return { PGHOST: host };
  const address = isIP(host) ? host : (await lookup(host)).address;
  return { PGHOST: servername, PGHOSTADDR: address };
}

/** TLS can be off, or unverified, towards this machine only. */
function verifyServer(plugin: PluginDatabase, caFile: string): Env {
  const { ssl } = plugin.connection;
  if (!ssl) return { PGSSLMODE: 'disable' };
  return getTlsOptions(plugin).rejectUnauthorized === false
    ? { PGSSLMODE: 'require' }
    : { PGSSLMODE: 'verify-full', PGSSLROOTCERT: caFile };
}

export const getTlsOptions = ({ connection }: PluginDatabase) =>
  typeof connection.ssl === 'object' ? connection.ssl : {};

/** The server splits them at blanks that have no backslash before them. */
function writeOptions({ knexConfig, role }: PluginDatabase): string {
  const path = [knexConfig.searchPath ?? []].flat().map(escapeIdentifier);
  const settings = [
    ...(path.length > 0 ? [`search_path=${path.join(',')}`] : []),
    ...(role ? [`role=${role}`] : []),
  ];
  return settings
    .map(setting => `-c ${setting.replace(/[\s\\]/g, '\\$&')}`)
    .join(' ');
}
