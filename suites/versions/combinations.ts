import { mapValues } from 'lodash';
import manifest from '../../package.json';
import { locked } from './locked';

/** Package to version. */
export type Versions = Record<string, string>;

const release = (
  backendDefaults: string,
  backendPluginApi: string,
  backendAppApi: string,
  backendTestUtils: string,
): Versions => ({
  '@backstage/backend-defaults': backendDefaults,
  '@backstage/backend-plugin-api': backendPluginApi,
  '@backstage/backend-app-api': backendAppApi,
  '@backstage/backend-test-utils': backendTestUtils,
});

/** What came out together, by https://versions.backstage.io, and its patches. */
const BACKSTAGE = {
  '1.55': release('0.18.0', '1.10.1', '1.7.4', '1.11.7'),
  '1.54': release('0.17.8', '1.10.0', '1.7.3', '1.11.6'),
  '1.53': release('0.17.5', '1.9.3', '1.7.2', '1.11.5'),
  '1.49': release('0.16.1', '1.8.0', '1.6.0', '1.11.1'),
};

/** The lowest versions that package.json promises to work with. */
const LOWEST = mapValues(
  manifest.dependencies,
  range => /\d+\.\d+\.\d+/.exec(range)![0],
);

/** The newest first: what the lock file has. */
export const COMBINATIONS: Versions[] = [
  { ...BACKSTAGE['1.55'], knex: '3.3.0' },
  { ...BACKSTAGE['1.55'], knex: '3.1.0' },
  { ...BACKSTAGE['1.54'], knex: '3.2.10' },
  { ...BACKSTAGE['1.53'], knex: '3.3.0' },
  { ...BACKSTAGE['1.49'], knex: '3.3.0' },
  { ...BACKSTAGE['1.49'], ...LOWEST },
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
