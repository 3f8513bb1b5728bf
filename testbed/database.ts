import { join } from 'node:path';
import { Emulator, startEmulator, startPostgresProcess } from '../emulator';
import { thenStop } from './waiting';

/** Where Backstage keeps its data in this run. */
export interface DemoDatabase {
  title: string;
  configFiles: string[];
  /** Absent on a real Lakebase. */
  emulator?: Emulator;
  stop(): Promise<void>;
}

const CONFIG = join(__dirname, 'app-config.yaml');
const EMULATOR_CONFIG = join(__dirname, 'app-config.emulator.yaml');

/** Finds the real Lakebase that the environment names, or starts an emulator. */
export async function openDatabase(options: {
  credentialLifeMs: number;
}): Promise<DemoDatabase> {
  const { DATABRICKS_HOST, LAKEBASE_ENDPOINT } = process.env;
  if (DATABRICKS_HOST && LAKEBASE_ENDPOINT) {
    return {
      title: `${LAKEBASE_ENDPOINT} of ${DATABRICKS_HOST}`,
      configFiles: [CONFIG],
      stop: async () => {},
    };
  }
  return startEmulated(options);
}

/** An emulator with a Postgres of its own, whatever the environment names. */
export async function startEmulated(options: {
  credentialLifeMs: number;
  history?: boolean;
}): Promise<DemoDatabase & { emulator: Emulator }> {
  const postgres = await startPostgresProcess();
  try {
    const emulator = await startEmulator({ postgres, ...options });
    const { controlPlane, gateway, ca, endpoint, servicePrincipal } = emulator;
    // The configuration file asks for these.
    Object.assign(process.env, {
      DATABRICKS_HOST: controlPlane.url,
      DATABRICKS_CLIENT_ID: servicePrincipal.clientId,
      DATABRICKS_CLIENT_SECRET: servicePrincipal.clientSecret,
      LAKEBASE_ENDPOINT: endpoint,
      EMULATOR_PORT: String(gateway.port),
      EMULATOR_CA: ca.cert,
    });
    return {
      title:
        `an emulator: control plane ${controlPlane.url}, gateway ` +
        `${gateway.host}:${gateway.port}, Postgres behind it at ` +
        `${postgres.host}:${postgres.port}`,
      configFiles: [CONFIG, EMULATOR_CONFIG],
      emulator,
      stop: () =>
        thenStop(
          () => emulator.stop(),
          () => postgres.stop(),
        ),
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}
