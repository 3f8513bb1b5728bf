import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { lakebaseModule, staticKnex } from '../../testbed/contenders';
import type { Contender } from '../../testbed/contenders';
import { fillPools, pluginIdsOf, withPlugins } from '../measure/run';
import { median, withSpread } from '../measure/statistics';
import type { Benchmark, Context } from './benchmark';

const run = promisify(execFile);

// Says at run time what is otherwise said on the command line.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const ROOT = join(__dirname, '..', '..');

/** Inside of the project, or its dependencies would not be found. */
const BUILD = join(ROOT, 'node_modules', '.cache', 'lakebase-bench');

const PLUGINS = 40;

/** What a backend with a Postgres database has loaded before it loads us. */
const LOADED_ANYWAY = [
  '@backstage/backend-defaults',
  '@backstage/backend-defaults/database',
  '@backstage/backend-plugin-api',
  '@backstage/config-loader',
  'knex',
  'knex/lib/dialects/postgres',
  'pg',
];

interface Loaded {
  ms: number;
  rssMb: number;
}

/** Loads a module in a fresh process, after what is loaded anyway. */
async function load(module: string, anyway: string[]): Promise<Loaded> {
  const script = `
    for (const name of ${JSON.stringify(anyway)}) require(name);
    gc();
    const rss = process.memoryUsage().rss;
    const begin = performance.now();
    require(${JSON.stringify(module)});
    const ms = performance.now() - begin;
    gc();
    const rssMb = (process.memoryUsage().rss - rss) / 2 ** 20;
    console.log(JSON.stringify({ ms, rssMb }));
    process.exit();`;
  const { stdout } = await run(
    process.execPath,
    ['--expose-gc', '--eval', script],
    { cwd: ROOT },
  );
  return JSON.parse(stdout) as Loaded;
}

async function build(): Promise<void> {
  await mkdir(BUILD, { recursive: true });
  const tsc = require.resolve('typescript/bin/tsc');
  const project = join(ROOT, 'tsconfig.build.json');
  await run(process.execPath, [tsc, '-p', project, '--outDir', BUILD]);
}

/** Heap per plugin whose pool has one connection, which is idle. */
async function heapPerPool(
  { laboratory }: Context,
  contender: Contender,
): Promise<number> {
  const pluginIds = pluginIdsOf(PLUGINS);
  const settings = { poolMax: 5 };
  const heap = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  let before = 0;
  const used = await withPlugins(
    {
      laboratory,
      pluginIds,
      settings,
      contender: {
        ...contender,
        start: (target, given) => {
          before = heap();
          return contender.start(target, given);
        },
      },
    },
    async ({ databases }) => {
      await fillPools(databases, 1, 0);
      return heap() - before;
    },
  );
  return used / PLUGINS / 1024;
}

export const weightBenchmark: Benchmark = {
  name: 'weight',
  title: 'Weight',
  async run(context) {
    const rounds = context.quick ? 2 : 7;
    await build();
    const ours = join(BUILD, 'index.js');
    const alone: Loaded[] = [];
    const beside: Loaded[] = [];
    const driver: Loaded[] = [];
    const heaps = { static: [] as number[], ours: [] as number[] };
    // Whatever is made once per process is not a pool's.
    await heapPerPool(context, staticKnex);
    await heapPerPool(context, lakebaseModule);
    for (let round = 0; round < rounds; round++) {
      beside.push(await load(ours, LOADED_ANYWAY));
      alone.push(await load(ours, []));
      driver.push(await load('@databricks/lakebase', LOADED_ANYWAY));
      heaps.static.push(await heapPerPool(context, staticKnex));
      heaps.ours.push(await heapPerPool(context, lakebaseModule));
    }
    await rm(BUILD, { recursive: true });
    const row = (name: string, loaded: Loaded[]) => [
      name,
      withSpread(loaded.map(({ ms }) => ms)),
      withSpread(loaded.map(({ rssMb }) => rssMb)),
    ];
    const added = {
      ms: median(beside.map(({ ms }) => ms)),
      rssMb: median(beside.map(({ rssMb }) => rssMb)),
    };
    const heap = median(heaps.ours);
    const extra = heap - median(heaps.static);
    return {
      method:
        `Modules are loaded in fresh processes, ${rounds} times, built by the ` +
        'compiler. What Backstage loads anyway: ' +
        `${LOADED_ANYWAY.join(', ')}. Heap: ${PLUGINS} plugins, each with one ` +
        'open connection, after a garbage collection',
      tables: [
        {
          columns: ['module', 'import, ms', 'resident memory, MB'],
          rows: [
            row('ours, beside Backstage', beside),
            row('@databricks/lakebase, beside Backstage', driver),
            row('ours, alone', alone),
          ],
        },
        {
          columns: ['pool of one plugin', 'heap, KB'],
          rows: [
            ['static', withSpread(heaps.static)],
            ['ours', withSpread(heaps.ours)],
          ],
        },
      ],
      targets: [
        {
          promise: 'adds less than 40 KB of heap to a pool with a connection',
          found: `${extra.toFixed(1)} KB more than stock Knex, ${heap.toFixed(1)} KB in all`,
          met: extra < 40,
        },
        {
          promise: 'import adds less than 60 ms',
          found: `${added.ms.toFixed(0)} ms`,
          met: added.ms < 60,
        },
        {
          promise: 'adds less than 10 MB of resident memory',
          found: `${added.rssMb.toFixed(1)} MB`,
          met: added.rssMb < 10,
        },
      ],
    };
  },
};
