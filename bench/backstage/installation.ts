import type { JsonObject } from '@backstage/types';
import {
  databaseConfig,
  startEmulator,
  type Emulator,
  type PostgresServer,
} from '../../emulator';
import type { Contender } from './comparison';

const DAY_MS = 24 * 60 * 60_000;

/** The same for both, and what Backstage is about to make its default. */
const POOL = { min: 0, max: 10 };

/** An empty database behind a gateway, and how backends are led to it. */
export class Installation {
  readonly emulator: Emulator;
  readonly #password: string;

  static async open(postgres: PostgresServer): Promise<Installation> {
    const emulator = await startEmulator({ postgres });
    // Lives longer than any backend of the benchmark.
    const { token } = await emulator.controlPlane.authority.mint(
      emulator.servicePrincipal.clientId,
      DAY_MS,
    );
    return new Installation(emulator, token);
  }

  private constructor(emulator: Emulator, password: string) {
    this.emulator = emulator;
    this.#password = password;
  }

  /** They differ in how they log in, and in nothing else. */
  settings(contender: Contender): { lakebase: boolean; database: JsonObject } {
    const { gateway, servicePrincipal } = this.emulator;
    const { client, connection, lakebase } = databaseConfig(this.emulator);
    const common = {
      client,
      pluginDivisionMode: 'schema',
      // Backstage would look for the database from one that Lakebase lacks.
      ensureExists: false,
      ensureSchemaExists: true,
      knexConfig: { pool: POOL },
    };
    const place = { ...connection, database: 'databricks_postgres' };
    if (contender === 'ours') {
      return {
        lakebase: true,
        database: { ...common, connection: place, lakebase },
      };
    }
    const login = {
      host: gateway.host,
      user: servicePrincipal.clientId,
      password: this.#password,
    };
    return {
      lakebase: false,
      database: { ...common, connection: { ...place, ...login } },
    };
  }

  stop(): Promise<void> {
    return this.emulator.stop();
  }
}
