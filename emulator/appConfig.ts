import type { Emulator } from './emulator';

/** The `backend.database` that leads a backend to this emulator. */
export function databaseConfig(emulator: Emulator) {
  return {
    client: 'pg',
    connection: {
      // The API tells the host only: real endpoints listen on 5432.
      port: emulator.gateway.port,
      ssl: { ca: emulator.ca.cert },
    },
    lakebase: {
      endpoint: emulator.endpoint,
      workspace: {
        host: emulator.controlPlane.url,
        ...emulator.servicePrincipal,
      },
    },
  };
}
