import type { JsonObject } from '@backstage/types';
import { isolateStockPlugin } from '../../src/config/stockConfig';
import { appConfig } from '../support/appConfig';

const isolate = (database: JsonObject) =>
  isolateStockPlugin(appConfig(database), {}, 'probe').get<JsonObject>(
    'backend.database',
  );

describe('a plugin that the stock service has', () => {
  it('has nothing of Lakebase, nor of other plugins', () => {
    const connection = { host: 'other', user: 'me', password: 'secret' };
    const own = { connection, role: 'own', ensureExists: false };

    expect(
      isolate({
        pluginDivisionMode: 'schema',
        prefix: 'p_',
        role: 'lakebase_owner',
        connection: { host: 'lakebase' },
        knexConfig: { pool: { max: 3 } },
        plugin: {
          probe: { lakebase: false, ...own },
          catalog: { role: 'x' },
        },
      }),
    ).toEqual({
      client: 'pg',
      pluginDivisionMode: 'schema',
      prefix: 'p_',
      knexConfig: { pool: { max: 3 } },
      ...own,
      plugin: { probe: own },
    });
  });

  it('has no division mode where it is on SQLite, which has no schemas', () => {
    const own = { client: 'better-sqlite3', connection: ':memory:' };

    expect(
      isolate({ pluginDivisionMode: 'schema', plugin: { probe: own } }),
    ).toEqual({ ...own, plugin: { probe: own } });
  });

  it('has all that there is where only single plugins are on Lakebase', () => {
    const rootConfig = appConfig({ lakebase: null });

    expect(isolateStockPlugin(rootConfig, {}, 'probe')).toBe(rootConfig);
  });
});
