import { without } from 'lodash';
import manifest from '../../package.json';

/** What an app has of its own: a second copy would not be what it loads. */
export const SINGLE = without(
  Object.keys(manifest.peerDependencies),
  // Knex pins an older one for itself.
  'pg-connection-string',
);
