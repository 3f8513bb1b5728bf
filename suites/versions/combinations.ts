import { mapValues } from 'lodash';
import { minVersion } from 'semver';
import manifest from '../../package.json';
import { locked } from './locked';

/** Package to version. */
export type Versions = Record<string, string>;

const release = (
  backendDefaults: string,
  backendTestUtils: string,
): Versions => ({
  '@backstage/backend-defaults': backendDefaults,
  '@backstage/backend-test-utils': backendTestUtils,
});

/** By https://versions.backstage.io; patches and all else follow from these. */
const BACKSTAGE = {
  '1.57': release('0.19.0', '1.11.7'),
  '1.55': release('0.18.0', '1.11.7'),
  '1.54': release('0.17.8', '1.11.6'),
  '1.53': release('0.17.5', '1.11.5'),
  '1.49': release('0.16.1', '1.11.1'),
};

/** The lowest versions that package.json promises to work with. */
const LOWEST = mapValues(
  { ...manifest.dependencies, ...manifest.peerDependencies },
  range => minVersion(range)!.version,
);

/** The newest first: what the lock file has. */
export const COMBINATIONS: Versions[] = [
  { ...BACKSTAGE['1.57'], knex: '3.3.0' },
  { ...BACKSTAGE['1.57'], knex: '3.1.0' },
  { ...BACKSTAGE['1.55'], knex: '3.3.0' },
  { ...BACKSTAGE['1.54'], knex: '3.2.10' },
  { ...BACKSTAGE['1.53'], knex: '3.3.0' },
  { ...LOWEST, ...BACKSTAGE['1.49'] },
];

/** Fails once the lock file has moved on. */
export function checkNewest(): void {
  for (const [name, version] of Object.entries(COMBINATIONS[0])) {
    if (locked(name) === version) continue;
    throw new Error(
      `package-lock.json has ${name} ${locked(name)}: ` +
        'add its release to suites/versions/combinations.ts',
    );
  }
}
