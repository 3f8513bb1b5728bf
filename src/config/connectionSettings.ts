import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import { isNil, omit, omitBy } from 'lodash';
import { parse as parseConnectionString } from 'pg-connection-string';
import { ConfigurationError } from '../errors';
import type { Blocks } from './blocks';
import { DATABASE_KEY, LAKEBASE_KEY, pluginKey } from './keys';
import { isLoopback } from '../databricks/loopback';

/** After this time without traffic the kernel asks whether the peer is there. */
const TCP_KEEPALIVE_DELAY_MS = 30_000;

/** One `connection` of `backend.database`, checked field by field. */
export type ConnectionSettings = Record<string, unknown> & {
  host?: string;
  port?: number;
  user?: string;
  database?: string;
  ssl?: unknown;
};

/** Shared by all plugins, and read by those that bypass this module. */
const BASE_KEY = `${DATABASE_KEY}.connection`;

/** Where this module connects, if the base key leads to its local proxy. */
const OWN_KEY = `${LAKEBASE_KEY}.connection`;

/** Completes a merged connection with what holds for all of them. */
export function completeConnection(
  settings: ConnectionSettings,
  sslKey: string,
) {
  return {
    keepAlive: true,
    keepAliveInitialDelayMillis: TCP_KEEPALIVE_DELAY_MS,
    ...settings,
    // Set explicitly, or pg would take it from the PG* variables.
    port: settings.port ?? 5432,
    ssl: verifiedTls(settings, sslKey),
  };
}

/** The connection that plugins share, as an object. */
export function readBaseConnection({
  database,
  lakebase,
}: Blocks): ConnectionSettings {
  const base = readConnection(BASE_KEY, database.connection);
  return {
    ...(lakebase.localProxy ? omit(base, ['host', 'port', 'ssl']) : base),
    ...readConnection(OWN_KEY, lakebase.connection),
  };
}

/** Under which key a setting of the shared connection was found. */
export const findBaseKey = ({ lakebase }: Blocks, setting: string) =>
  readConnection(OWN_KEY, lakebase.connection)[setting] === undefined
    ? BASE_KEY
    : OWN_KEY;

/** One `connection` as an object, without what the stock connector drops. */
export function readConnection(
  key: string,
  given: string | Record<string, unknown> = {},
): ConnectionSettings {
  const settings =
    typeof given === 'string' ? parseString(given, key) : { ...given };
  checkLogin(settings, key);
  for (const name of ['host', 'user', 'database']) {
    if (!isAbsent(settings[name]) && typeof settings[name] !== 'string') {
      throw new ConfigurationError(
        `${key}.${name} must be a string`,
        'Quote it',
      );
    }
  }
  const passedOn = omit(settings, [
    'type',
    'instance',
    'tokenCredential',
    'password',
  ]);
  return { ...omitBy(passedOn, isAbsent), ...readPort(settings.port, key) };
}

/** Nothing may log in by other means than the credential. */
function checkLogin(settings: Record<string, unknown>, key: string): void {
  if ('connectionString' in settings) {
    throw new ConfigurationError(
      `${key}.connectionString would override what is checked here`,
      `Remove it, and set ${key} itself to the string`,
    );
  }
  const type = settings.type ?? 'default';
  if (typeof type !== 'string') {
    throw new ConfigurationError(`${key}.type must be a string`);
  }
  if (type !== 'default') {
    throw new ConfigurationError(
      `${key}.type is '${type}', which is another way to log in than ` +
        LAKEBASE_KEY,
      'Remove one of the two',
    );
  }
  if (!isAbsent(settings.password)) {
    throw new ConfigurationError(
      `${key} holds a password beside ${LAKEBASE_KEY}, which logs in with ` +
        'credentials of its own',
      'Remove one of the two; a plugin on another Postgres needs ' +
        `${pluginKey('<id>')}.lakebase: false`,
    );
  }
}

/** What app-config of a created app says for SQLite, under an overlay. */
const OF_SQLITE = ':memory:';

function parseString(value: string, key: string): Record<string, unknown> {
  const text = value.trim();
  if (text === '' || text === OF_SQLITE) return {};
  // Anything else, pg would take for the name of a database or a host.
  if (!/^postgres(ql)?:\/\//i.test(text)) {
    throw new ConfigurationError(
      `${key} is text, but not the URL of a Postgres database`,
      'Write it as an object with host, port and database, or as ' +
        'postgresql://host:5432/database',
    );
  }
  // What follows it would be lost, and what comes before it be the host.
  if (text.includes('#')) {
    throw new ConfigurationError(
      `${key} is a URL with a #, which ends it`,
      'Write it as %23, or the whole as an object with host, port and database',
    );
  }
  try {
    return { ...parseConnectionString(value) };
  } catch {
    // No cause: it holds the string, which may hold a password.
    throw new ConfigurationError(
      `${key} is not a readable connection string, or names a certificate ` +
        'file that cannot be read',
      'Write it as an object with host, port and database',
    );
  }
}

/** A connection string without a port or password parses to empty strings. */
const isAbsent = (value: unknown) =>
  value === undefined || value === null || value === '';

function readPort(port: unknown, key: string): { port?: number } {
  if (isAbsent(port)) return {};
  const number = Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535) {
    throw new ConfigurationError(
      `${key}.port must be a number from 1 to 65535`,
    );
  }
  return { port: number };
}

/** What Node ignores without a word, and would then blame the server for. */
function readTlsOptions(options: JsonObject, key: string): JsonObject {
  const libpq = Object.keys(options).find(name => /^ssl/i.test(name));
  if (libpq) {
    throw new ConfigurationError(
      `${key}.ssl.${libpq} has no effect: it is a setting of libpq`,
      `Remove it: verification is always on, and ${key}.ssl.ca takes an ` +
        'authority of your own',
    );
  }
  if (options.ca === undefined) return options;
  const authorities = [options.ca].flat().map(ca => {
    // Variables often hold line breaks as two letters.
    const pem = typeof ca === 'string' ? ca.replaceAll('\\n', '\n') : ca;
    if (typeof pem === 'string' && PEM.test(pem)) return pem;
    throw new ConfigurationError(
      `${key}.ssl.ca is not a certificate in PEM`,
      'It takes the text, not a path: write ca: { $file: /path/ca.pem }',
    );
  });
  return {
    ...options,
    ca: authorities.length === 1 ? authorities[0] : authorities,
  };
}

const PEM = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/;

const ON = [undefined, true, 'true'];
const OFF = [false, 'false', 0, '0', 'disable', 'no-verify'];

/**
 * The credential goes over this connection in clear text, so verification can
 * be turned off towards this machine only, and in so many words.
 */
function verifiedTls(
  { ssl, host }: ConnectionSettings,
  key: string,
): Knex.PgConnectionConfig['ssl'] {
  if (ON.includes(ssl as boolean)) return { rejectUnauthorized: true };
  const options =
    typeof ssl === 'object'
      ? readTlsOptions(omitBy(ssl as JsonObject, isNil), key)
      : undefined;
  const verify = options ? options.rejectUnauthorized : ssl;
  // libpq's weaker modes come as a check of the name that accepts any.
  const anyName = options !== undefined && 'checkServerIdentity' in options;
  if (options && ON.includes(verify as boolean) && !anyName) {
    return { ...options, rejectUnauthorized: true };
  }
  if (!anyName && !OFF.includes(verify as boolean)) {
    throw new ConfigurationError(
      `${key}.ssl must be true, or an object with ca or servername`,
    );
  }
  if (host === undefined || !isLoopback(host)) {
    throw new ConfigurationError(
      `${key} turns off TLS or its verification, but the credential is sent ` +
        'over that connection',
      `Remove ${key}.ssl (or sslmode), and trust a private CA with ${key}.ssl.ca`,
    );
  }
  return options ? { ...options, rejectUnauthorized: false } : false;
}
