/**
 * Runs Backstage on Databricks Lakebase.
 *
 * @packageDocumentation
 */

export { LakebaseError, type LakebaseErrorCode } from './errors';
export {
  lakebaseDatabaseServiceFactory,
  lakebaseFeatureLoader as default,
} from './module';
