import type { PostgresServer } from './postgresServer';

const VARIABLE = /^BACKSTAGE_TEST_DATABASE_POSTGRES(\d+)_CONNECTION_STRING$/;

/** The newest server that Backstage's own test variables name. */
export function postgresFromEnvironment(): PostgresServer | undefined {
  const [newest] = Object.entries(process.env)
    .map(([name, value]) => ({ version: VARIABLE.exec(name)?.[1], value }))
    .filter(({ version, value }) => version && value)
    .sort((a, b) => Number(b.version) - Number(a.version));
  if (!newest) return undefined;

  const url = new URL(newest.value!);
  return {
    host: url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    stop: async () => {},
  };
}
