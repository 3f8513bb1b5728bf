import type { PostgresServer } from '../../emulator';

declare global {
  /** Handed from globalSetup to globalTeardown. */
  var testServers: PostgresServer[] | undefined;
}
