export { databaseConfig } from './appConfig';
export { startEmulator, type Emulator, type EmulatorOptions } from './emulator';
export type { RoleOptions } from './branch';
export type { TlsMode } from './certificates';
export type { Call } from './controlPlane/callLog';
export type { Catalog } from './controlPlane/catalog';
export type { ControlPlane } from './controlPlane/controlPlane';
export type { Fault } from './controlPlane/faults';
export type { EndpointSettings } from './controlPlane/resources';
export type { Route } from './controlPlane/routes';
export type { ServicePrincipal, User } from './controlPlane/workspace';
export type { SuspendOptions } from './gateway/compute';
export type { Gateway } from './gateway/gateway';
export type { Login, RefusedLogin } from './gateway/logins';
export {
  GITHUB_SUBJECT,
  type IdentityProvider,
  type IdTokenOptions,
} from './identityProvider';
export type { Warehouse } from './warehouse/warehouse';
export {
  REFUSALS,
  type RefusalKind,
  type RefusalVariant,
} from './gateway/refusals';
export { postgresFromEnvironment } from './postgres/postgresFromEnvironment';
export type { PostgresServer } from './postgres/postgresServer';
export { startPostgres } from './postgres/startPostgres';
export { startPostgresProcess } from './postgres/startPostgresProcess';
