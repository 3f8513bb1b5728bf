import type { QueryResultRow } from 'pg';
import { Branch, DATABASE, type RoleOptions } from './branch';
import { serverCertificate, writeCaFile } from './certificates';
import { ControlPlane } from './controlPlane/controlPlane';
import { ENDPOINT } from './controlPlane/resources';
import { Workspace, type ServicePrincipal } from './controlPlane/workspace';
import { CredentialAuthority } from './credentialAuthority';
import { Gateway } from './gateway/gateway';
import type { PostgresServer } from './postgres/postgresServer';
import { ServerClock } from './serverClock';

const HOUR_MS = 3_600_000;

export interface EmulatorOptions {
  postgres: PostgresServer;
  /** Control plane: http on 127.0.0.1 (default), or https on localhost. */
  https?: boolean;
  credentialLifeMs?: number;
  workspaceTokenLifeMs?: number;
  /** Of the control plane. */
  port?: number;
}

/** Lakebase on one machine: a workspace's REST API and one endpoint. */
export interface Emulator {
  controlPlane: ControlPlane;
  gateway: Gateway;
  ca: { cert: string; certFile: string };
  endpoint: string;
  /** Its client id is also the name of its role, which may create databases. */
  servicePrincipal: ServicePrincipal;
  createRole(name: string, options?: RoleOptions): Promise<void>;
  /** Another identity; `role: false` leaves it without a role. */
  addServicePrincipal(options?: {
    role?: false | { attributes?: string };
  }): Promise<ServicePrincipal>;
  /** Runs as superuser, in `databricks_postgres` unless told otherwise. */
  query(
    sql: string,
    params?: unknown[],
    database?: string,
  ): Promise<QueryResultRow[]>;
  stop(): Promise<void>;
}

export async function startEmulator(
  options: EmulatorOptions,
): Promise<Emulator> {
  const clock = new ServerClock();
  const workspace = new Workspace(clock);
  const authority = await CredentialAuthority.create(clock);
  const { cert, certFile, remove: removeCaFile } = await writeCaFile();
  const branch = await Branch.create(options.postgres);
  const gateway = await Gateway.start({ authority, branch });
  const controlPlane = await ControlPlane.start({
    certificate: options.https ? await serverCertificate('valid') : undefined,
    port: options.port,
    credentialLifeMs: options.credentialLifeMs ?? HOUR_MS,
    workspaceTokenLifeMs: options.workspaceTokenLifeMs ?? HOUR_MS,
    clock,
    workspace,
    authority,
    compute: () => ({
      host: gateway.host,
      state: gateway.compute.awake ? 'ACTIVE' : 'IDLE',
    }),
  });

  const addServicePrincipal: Emulator['addServicePrincipal'] = async ({
    role = {},
  } = {}) => {
    const principal = workspace.addServicePrincipal();
    if (role) await branch.createRole(principal.clientId, role);
    return principal;
  };

  return {
    controlPlane,
    gateway,
    ca: { cert, certFile },
    endpoint: ENDPOINT,
    servicePrincipal: await addServicePrincipal({
      role: { attributes: 'CREATEDB' },
    }),
    createRole: (name, roleOptions) => branch.createRole(name, roleOptions),
    addServicePrincipal,
    query: (sql, params, database = DATABASE) =>
      branch.query(sql, params, database),
    stop: async () => {
      await Promise.all([gateway.stop(), controlPlane.stop()]);
      await branch.remove();
      await removeCaFile();
    },
  };
}
