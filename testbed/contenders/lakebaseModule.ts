import { ConfigReader } from '@backstage/config';
import { omit } from 'lodash';
import { Lakebase } from '../../src/lakebase';
import type { Contender } from './contender';
import { connectionOf, knexDatabase, poolOf } from './knexDatabase';
import { lifecycleOf, silentLogger } from '../silence';

/** This package, without the rest of a backend. */
export const lakebaseModule: Contender = {
  name: 'ours',
  description: 'backstage-backend-module-lakebase',
  mints: true,
  // Never before half of a life that is shorter than a minute.
  renewsAfter: 1 / 2,
  bounds: true,
  start: (target, settings) => {
    const { lifecycle, shutDown } = lifecycleOf();
    const { maxConnectionAgeMs, connectTimeoutMs, maxConnections } = settings;
    const milliseconds = (value?: number) =>
      value === undefined ? undefined : { milliseconds: value };
    const pool = omit(poolOf(settings), [
      'maxConnectionLifetimeMillis',
      'createTimeoutMillis',
    ]);
    const lakebase = Lakebase.create({
      rootConfig: new ConfigReader({
        backend: {
          database: {
            client: 'pg',
            connection: connectionOf(target),
            pluginDivisionMode: 'schema',
            knexConfig: { pool },
            lakebase: {
              endpoint: target.endpoint,
              workspace: {
                host: target.workspaceHost,
                clientId: target.clientId,
                clientSecret: target.clientSecret,
              },
              maxConnectionAge: milliseconds(maxConnectionAgeMs),
              connectTimeout: milliseconds(connectTimeoutMs),
              maxConnections,
            },
          },
        },
      }),
      logger: silentLogger,
      lifecycle,
      metadata: { getInstalledPlugins: () => Promise.resolve([]) },
      env: {},
    });
    return Promise.resolve({
      open: async pluginId =>
        knexDatabase(await lakebase.forPlugin(pluginId)!.getClient()),
      stop: shutDown,
    });
  },
};
