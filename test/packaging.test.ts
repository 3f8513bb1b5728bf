import { pickBy } from 'lodash';
import backendDefaults from '@backstage/backend-defaults/package.json';
import manifest from '../package.json';

const { dependencies, peerDependencies, peerDependenciesMeta } = manifest;

describe('the package, in an app', () => {
  it('adds no second copy of what the app has', () => {
    const ofTheApp = pickBy(
      dependencies,
      (_, name) =>
        name.startsWith('@backstage/') ||
        /^(knex|pg|pg-connection-string)$/.test(name),
    );
    expect(ofTheApp).toEqual({});
  });

  it('asks for nothing that the app has not', () => {
    const brought = ['@backstage/backend-defaults'].concat(
      Object.keys(backendDefaults.dependencies),
    );
    expect(brought).toEqual(
      expect.arrayContaining(Object.keys(peerDependencies)),
    );
  });

  it('warns of nothing that the backend of a created app does not name', () => {
    const optional = Object.entries(peerDependenciesMeta)
      .filter(([, meta]) => meta.optional)
      .map(([name]) => name);
    expect([...optional, '@backstage/backend-defaults'].sort()).toEqual(
      Object.keys(peerDependencies).sort(),
    );
  });
});
