/**
 * Shows that the emulator is close enough to Lakebase for Databricks' own
 * driver, unchanged. The driver needs Node 22.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import {
  startEmulator,
  startPostgresProcess,
  type Emulator,
} from '../../emulator';

async function main() {
  const postgres = await startPostgresProcess();
  const emulator = await startEmulator({ postgres, https: true });
  try {
    process.exitCode = await logInThroughDriver(emulator);
  } finally {
    await emulator.stop();
    await postgres.stop();
  }
}

async function logInThroughDriver(emulator: Emulator): Promise<number> {
  // A process of its own: extra certificates are read at its start only.
  const driver = fork(join(__dirname, 'login.ts'), {
    env: {
      PATH: process.env.PATH,
      NODE_EXTRA_CA_CERTS: emulator.ca.certFile,
      DATABRICKS_HOST: emulator.controlPlane.url,
      DATABRICKS_CLIENT_ID: emulator.servicePrincipal.clientId,
      DATABRICKS_CLIENT_SECRET: emulator.servicePrincipal.clientSecret,
      LAKEBASE_ENDPOINT: emulator.endpoint,
      PGHOST: emulator.gateway.host,
      PGPORT: String(emulator.gateway.port),
      PGDATABASE: 'databricks_postgres',
    },
  });
  const [code] = (await once(driver, 'exit')) as [number | null];
  return code ?? 1;
}

void main();
