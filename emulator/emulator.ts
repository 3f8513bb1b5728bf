import type { QueryResultRow } from 'pg';
import { Branch, DATABASE, type RoleOptions } from './branch';
import { LocalBranches } from './branchStorage';
import { serverCertificate, writeCaFile } from './certificates';
import { Catalog, ENDPOINT } from './controlPlane/catalog';
import { ControlPlane } from './controlPlane/controlPlane';
import { Instance } from './controlPlane/instances';
import {
  Workspace,
  type ServicePrincipal,
  type User,
} from './controlPlane/workspace';
import { CredentialAuthority } from './credentialAuthority';
import { Gateway } from './gateway/gateway';
import { IdentityProvider } from './identityProvider';
import type { PostgresServer } from './postgres/postgresServer';
import { ServerClock } from './serverClock';

const HOUR_MS = 3_600_000;
const INSTANCE = 'backstage-instance';

export interface EmulatorOptions {
  postgres: PostgresServer;
  /** Control plane: http on 127.0.0.1 (default), or https on localhost. */
  https?: boolean;
  credentialLifeMs?: number;
  workspaceTokenLifeMs?: number;
  /** Of the control plane. */
  port?: number;
  /** Whether branches may begin in the past; takes a copy of all data first. */
  history?: boolean;
}

/** Lakebase on one machine: a workspace's REST API and its endpoints. */
export interface Emulator {
  controlPlane: ControlPlane;
  gateway: Gateway;
  ca: { cert: string; certFile: string };
  endpoint: string;
  /** The name of a Provisioned instance, behind the same gateway. */
  instance: string;
  /** The company's own, whose tokens federation policies may trust. */
  identityProvider: IdentityProvider;
  /** Its client id is also the name of its role, which may create databases. */
  servicePrincipal: ServicePrincipal;
  createRole(name: string, options?: RoleOptions): Promise<void>;
  /** Another identity; `role: false` leaves it without a role. */
  addServicePrincipal(options?: {
    role?: false | { attributes?: string };
  }): Promise<ServicePrincipal>;
  /** A person, whose e-mail address is also the name of the role. */
  addUser(options: {
    email: string;
    role?: false | { attributes?: string };
  }): Promise<User>;
  /** Runs as superuser, in `databricks_postgres` unless told otherwise. */
  query(
    sql: string,
    params?: unknown[],
    database?: string,
  ): Promise<QueryResultRow[]>;
  /** The same on a branch, `projects/…/branches/…`. */
  queryBranch(
    name: string,
    sql: string,
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
  const catalog = new Catalog(clock, () => ({
    host: gateway.host,
    stateAt: host =>
      gateway.backendAt(host).compute.awake ? 'ACTIVE' : 'IDLE',
    awakeAt: host => gateway.computeAt(host).awakeSpans,
  }));
  const gateway = await Gateway.start({
    clock,
    authority,
    branch,
    isDisabled: host => catalog.isDisabled(host),
  });
  const branches = new LocalBranches(branch, gateway, clock);
  if (options.history) await branches.keepHistory();
  const identityProvider = await IdentityProvider.create(
    clock,
    () => controlPlane.url,
  );
  const controlPlane = await ControlPlane.start({
    certificate: options.https ? await serverCertificate('valid') : undefined,
    port: options.port,
    credentialLifeMs: options.credentialLifeMs ?? HOUR_MS,
    workspaceTokenLifeMs: options.workspaceTokenLifeMs ?? HOUR_MS,
    clock,
    workspace,
    authority,
    catalog,
    storage: branches,
    hasDatabase: async (name, database) => {
      const sql = 'SELECT datname FROM pg_catalog.pg_database';
      const found = await branches.query(name, sql, DATABASE);
      return found.some(({ datname }) => datname === database);
    },
    instance: new Instance(INSTANCE, () => gateway.host),
    identityProvider,
  });

  const addServicePrincipal: Emulator['addServicePrincipal'] = async ({
    role = {},
  } = {}) => {
    const principal = workspace.addServicePrincipal();
    if (role) await branch.createRole(principal.clientId, role);
    return principal;
  };

  const addUser: Emulator['addUser'] = async ({ email, role = {} }) => {
    const user = workspace.addUser(email);
    if (role) await branch.createRole(user.userName, role);
    return user;
  };

  return {
    controlPlane,
    gateway,
    ca: { cert, certFile },
    endpoint: ENDPOINT,
    instance: INSTANCE,
    identityProvider,
    servicePrincipal: await addServicePrincipal({
      role: { attributes: 'CREATEDB' },
    }),
    createRole: (name, roleOptions) => branch.createRole(name, roleOptions),
    addServicePrincipal,
    addUser,
    query: (sql, params, database = DATABASE) =>
      branch.query(sql, params, database),
    queryBranch: (name, sql, database = DATABASE) =>
      branches.query(name, sql, database),
    stop: async () => {
      await Promise.all([gateway.stop(), controlPlane.stop()]);
      await branches.stop();
      await branch.remove();
      await removeCaFile();
    },
  };
}
