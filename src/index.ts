/**
 * Runs Backstage on Databricks Lakebase.
 *
 * @packageDocumentation
 */

export type { LakebaseWorkspaceTokenService } from './databricks/identity';
export {
  type Explanation as LakebaseExplanation,
  LakebaseError,
  type LakebaseErrorCode,
} from './errors';
export {
  lakebaseDatabaseServiceFactory,
  lakebaseFeatureLoader as default,
  lakebaseWorkspaceTokenServiceRef,
} from './module';
