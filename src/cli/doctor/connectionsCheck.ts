import { LAKEBASE_KEY } from '../../config/keys';
import {
  CONNECTION_LIMITS,
  ConnectionLimits,
} from '../../startupNotices/connectionLimits';
import type { PluginDatabase } from '../../config/pluginDatabase';
import { Check, Examination, needFilled, ok } from './check';
import { adminDatabaseCheck } from './databaseChecks';
import { findTables, listNamed } from './findTables';

/** As tarn, the pool of Knex, has it. */
const POOL_MAX = 10;

/** Backstage with its usual plugins; an empty database says nothing of them. */
const PLUGINS_AT_LEAST = 10;

/** Whether the endpoint has connections for all pools at their largest. */
export const connectionsCheck: Check = {
  title: 'connections',
  needs: [adminDatabaseCheck.title],
  async run(examination) {
    const { replicas } = examination;
    examination.tables ??= await findTables(examination);
    const { available, max } = await readLimits(examination);
    const { pools, counted } = countPools(examination);
    const bound = examination.access.settings.maxConnections ?? Infinity;
    const largest = pools.reduce((sum, size) => sum + size, 0);
    const needed = replicas * Math.min(largest, bound);
    const sizes = [...new Set(pools)].sort((a, b) => a - b).join(' or ');
    const each =
      bound < largest
        ? `maxConnections ${bound}`
        : `${pools.length} plugins (${counted}) × ${sizes} connections`;
    const sum =
      `${each} × ${replicas} ${replicas === 1 ? 'replica' : 'replicas'} ` +
      `= ${needed}`;
    const limit = `${available} (max_connections ${max} less ${max - available} reserved)`;
    if (needed <= available) return ok(`${sum} of ${limit}`);
    const fitting = Math.floor(available / replicas);
    return [
      {
        status: 'fail',
        message: `${sum}, more than ${limit}`,
        ...(fitting > 0
          ? {
              remedy:
                'Give the endpoint more capacity units, or bound each backend',
              statements: [`${LAKEBASE_KEY}.maxConnections: ${fitting}`],
            }
          : {
              remedy:
                'Give the endpoint more capacity units, or run fewer replicas',
            }),
      },
    ];
  },
};

async function readLimits({
  database,
}: Examination): Promise<ConnectionLimits> {
  const [found] =
    await needFilled(database).rows<ConnectionLimits>(CONNECTION_LIMITS);
  return found;
}

/** The largest size of each plugin's pool, and how the plugins were counted. */
function countPools(examination: Examination): {
  pools: number[];
  counted: string;
} {
  const { access, otherPlugins } = examination;
  const named = listNamed(access);
  if (!access.endpoint.base) {
    return { pools: named.map(poolSize), counted: 'mentioned by name' };
  }
  const pools = (others: number) => [
    ...named.map(poolSize),
    ...Array<number>(others).fill(poolSize(access.plugin)),
  ];
  if (otherPlugins !== undefined) {
    return {
      pools: pools(otherPlugins),
      counted: `--plugins${named.length > 0 ? `, and ${named.length} in the configuration` : ''}`,
    };
  }
  const unnamed = needFilled(examination.tables).filter(
    ({ plugin }) => plugin === access.plugin,
  ).length;
  const existing = named.length + unnamed;
  const others = Math.max(unnamed, PLUGINS_AT_LEAST - named.length);
  return {
    pools: pools(others),
    counted:
      existing < PLUGINS_AT_LEAST
        ? `assumed; ${existing} so far`
        : 'that exist by now',
  };
}

const poolSize = ({ knexConfig }: PluginDatabase): number =>
  Number(knexConfig.pool?.max ?? POOL_MAX);
