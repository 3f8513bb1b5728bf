import { PluginDatabase, readPluginDatabase } from '../../pluginDatabase';
import { Check, Examination, filledIn, ok } from './check';
import { adminDatabaseCheck } from './databaseChecks';
import { findPlaces } from './places';

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
    examination.places ??= await findPlaces(examination);
    const { available, max } = await limits(examination);
    const { pools, counted } = poolsOf(examination);
    const needed = replicas * pools.reduce((sum, size) => sum + size, 0);
    const sizes = [...new Set(pools)].sort((a, b) => a - b).join(' or ');
    const sum =
      `${pools.length} plugins (${counted}) × ${sizes} connections × ` +
      `${replicas} ${replicas === 1 ? 'replica' : 'replicas'} = ${needed}`;
    const limit = `${available} (max_connections ${max} less ${max - available} reserved)`;
    if (needed <= available) return ok(`${sum} of ${limit}`);
    const fitting = Math.floor(available / (pools.length * replicas));
    return [
      {
        status: 'fail',
        message: `${sum}, more than ${limit}`,
        cure:
          fitting > 0
            ? 'Give the endpoint more capacity units, or make the pools smaller:'
            : 'Give the endpoint more capacity units, or run fewer replicas',
        ...(fitting > 0 && {
          paste: [`backend.database.knexConfig.pool.max: ${fitting}`],
        }),
      },
    ];
  },
};

interface Limits {
  max: number;
  available: number;
}

// Servers before 16 have no reserved_connections.
const LIMITS = `
  SELECT max, max - superuser - reserved AS available FROM (SELECT
    current_setting('max_connections')::int AS max,
    current_setting('superuser_reserved_connections')::int AS superuser,
    coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved
  ) AS settings`;

async function limits({ session }: Examination): Promise<Limits> {
  const [found] = await filledIn(session).rows<Limits>(LIMITS);
  return found;
}

/** The largest size of each plugin's pool, and how the plugins were counted. */
function poolsOf(examination: Examination): {
  pools: number[];
  counted: string;
} {
  const { rootConfig, access, otherPlugins } = examination;
  const { base, plugins, config } = access.use;
  const named = plugins.map(id => readPluginDatabase(rootConfig, config, id));
  if (!base) {
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
  const unnamed = filledIn(examination.places).filter(
    ({ settings }) => settings === access.plugin,
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
