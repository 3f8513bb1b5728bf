import type { Knex } from 'knex';
import type { Emulator } from '../../emulator';

/** Where to log in, as plain data: it may come from another process. */
export interface Target {
  /** Of the control plane. */
  workspaceHost: string;
  endpoint: string;
  clientId: string;
  clientSecret: string;
  host: string;
  port: number;
  database: string;
  /** The certificate of the gateway's authority. */
  ca: string;
  /** Outlives every measurement, and was not minted by the control plane. */
  staticPassword: string;
}

export interface Settings {
  /** Connections of one plugin. */
  poolMax: number;
  /** Connections are replaced at this age: churn. Default: never. */
  maxConnectionAgeMs?: number;
  /** Idle connections are closed after this. Default: the contender's own. */
  idleTimeoutMs?: number;
  /** How long one new connection may take. Default: the contender's own. */
  connectTimeoutMs?: number;
  /**
   * Of what the control plane mints. Who renews 2 or 5 minutes ahead of the end
   * of an hour is scaled to it. Default: an hour.
   */
  credentialLifeMs?: number;
  /** Of the whole process, for those who can bound it. */
  maxConnections?: number;
}

/** A way to run the plugins of one process on Lakebase. */
export interface Contender {
  /** Short, for tables, plots and the command line. */
  readonly name: string;
  readonly description: string;
  /** Whether it mints credentials: rotations and outages mean nothing to others. */
  readonly mints: boolean;
  /** The share of a credential's life after which it is due. */
  readonly renewsAfter?: number;
  /** Whether it can bound the connections of the whole process. */
  readonly bounds: boolean;
  /** Why it cannot run here. */
  readonly unavailable?: string;
  start(target: Target, settings: Settings): Promise<Running>;
}

/** One process with its plugins. */
export interface Running {
  open(pluginId: string): Promise<PluginDatabase>;
  /** Closes what the plugins have not. */
  stop(): Promise<void>;
}

export interface PluginDatabase {
  /** Resolves with the rows. */
  query(sql: string): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
  /** For those who give a plugin a Knex. */
  readonly knex?: Knex;
}

const DAY_MS = 24 * 60 * 60_000;

/** The target that an emulator is. */
export async function targetOf(emulator: Emulator): Promise<Target> {
  const { controlPlane, gateway, servicePrincipal } = emulator;
  const { token } = await controlPlane.authority.mint(
    servicePrincipal.clientId,
    DAY_MS,
  );
  return {
    workspaceHost: controlPlane.url,
    endpoint: emulator.endpoint,
    clientId: servicePrincipal.clientId,
    clientSecret: servicePrincipal.clientSecret,
    host: gateway.host,
    port: gateway.port,
    database: 'databricks_postgres',
    ca: emulator.ca.cert,
    staticPassword: token,
  };
}
