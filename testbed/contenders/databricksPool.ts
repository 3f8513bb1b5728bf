import type { Contender, PluginDatabase, Target } from './contender';

const HOUR_MS = 60 * 60_000;

/** In the driver's source; it cannot be set. */
const DRIVER_BUFFER_MS = 120_000;

const BUFFER = DRIVER_BUFFER_MS / HOUR_MS;

const NODE_MAJOR = Number(process.versions.node.split('.')[0]);

/**
 * Databricks' own driver: a pg.Pool whose password is an async function. It is
 * no Knex, so Backstage's plugins could not use it as it is.
 */
export const databricksPool: Contender = {
  name: 'databricks',
  description: "Databricks' own @databricks/lakebase, one pool per plugin",
  mints: true,
  renewsAfter: 1 - BUFFER,
  bounds: false,
  unavailable: NODE_MAJOR < 22 ? 'needs Node 22 or later' : undefined,
  start: async (target, settings) => {
    // Loaded late: older versions of Node can't.
    const { createLakebasePool } = await import('@databricks/lakebase');
    const bufferMs = (settings.credentialLifeMs ?? HOUR_MS) * BUFFER;
    const workspaceClient = await workspaceClientOf(target, bufferMs);
    const opened: PluginDatabase[] = [];
    return {
      open: () => {
        const pool = createLakebasePool({
          workspaceClient: workspaceClient(),
          endpoint: target.endpoint,
          host: target.host,
          port: target.port,
          database: target.database,
          user: target.clientId,
          ssl: { ca: target.ca },
          max: settings.poolMax,
          ...(settings.idleTimeoutMs && {
            idleTimeoutMillis: settings.idleTimeoutMs,
          }),
          ...(settings.connectTimeoutMs && {
            connectionTimeoutMillis: settings.connectTimeoutMs,
          }),
          logger: { error: false },
        });
        // The driver hands on some of a pool's options only.
        pool.options.maxLifetimeSeconds =
          (settings.maxConnectionAgeMs ?? 0) / 1000;
        // An idle connection that breaks is replaced at the next query.
        pool.on('error', () => {});
        let closed: Promise<void> | undefined;
        const database: PluginDatabase = {
          query: async sql => {
            const { rows } = await pool.query<Record<string, unknown>>(sql);
            return rows;
          },
          close: () => (closed ??= pool.end()),
        };
        opened.push(database);
        return Promise.resolve(database);
      },
      stop: async () => {
        await Promise.all(opened.map(database => database.close()));
      },
    };
  },
};

/** The SDK's own client; what it tells of the expiry scales the driver's buffer. */
async function workspaceClientOf(target: Target, bufferMs: number) {
  const { WorkspaceClient } = await import('@databricks/sdk-experimental');
  return () => {
    const client = new WorkspaceClient({
      host: target.workspaceHost,
      clientId: target.clientId,
      clientSecret: target.clientSecret,
    });
    const request = client.apiClient.request.bind(client.apiClient);
    client.apiClient.request = async options => {
      const reply = await request(options);
      if (isCredential(reply)) {
        const expiresAt = Date.parse(reply.expire_time);
        const shifted = expiresAt + DRIVER_BUFFER_MS - bufferMs;
        reply.expire_time = new Date(shifted).toISOString();
      }
      return reply;
    };
    return client;
  };
}

const isCredential = (reply: unknown): reply is { expire_time: string } =>
  typeof reply === 'object' && reply !== null && 'expire_time' in reply;
