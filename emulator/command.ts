import { databaseConfig } from './appConfig';
import { startEmulator } from './emulator';
import type { PostgresServer } from './postgres/postgresServer';
import { startPostgresProcess } from './postgres/startPostgresProcess';

export interface StartOptions {
  /** Its superuser; without it a server is started. */
  postgres?: Omit<PostgresServer, 'stop' | 'data'>;
  credentialLifeMs: number;
}

/**
 * What `backstage-lakebase emulator` runs. It is published as one file, which
 * nothing else of the package loads.
 */
export async function start({ postgres, credentialLifeMs }: StartOptions) {
  const server = postgres
    ? { ...postgres, stop: async () => {} }
    : await startPostgresProcess();
  try {
    const emulator = await startEmulator({
      postgres: server,
      credentialLifeMs,
    });
    const { controlPlane, gateway, servicePrincipal } = emulator;
    const { connection, lakebase, ...others } = databaseConfig(emulator);
    return {
      controlPlane: controlPlane.url,
      gateway: `${gateway.host}:${gateway.port}`,
      postgres: `${server.host}:${server.port}`,
      warehouse: controlPlane.warehouse.id,
      /** Laid over an app's own, whatever that connects to. */
      database: {
        ...others,
        connection: {
          host: gateway.host,
          user: servicePrincipal.clientId,
          ...connection,
        },
        lakebase: {
          ...lakebase,
          workspace: { authType: 'oauth-m2m', ...lakebase.workspace },
        },
      },
      stop: async () => {
        await emulator.stop();
        await server.stop();
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
