/** What the files of each room of src/ may import from other rooms. */
const ROOMS = {
  time: [],
  databricks: ['time'],
  config: ['databricks'],
  connections: ['config', 'time'],
  migrations: ['connections', 'time'],
  branches: ['databricks', 'time'],
  governance: ['branches', 'databricks'],
  undo: [],
  startupNotices: ['config', 'connections', 'time'],
  localProxy: ['config', 'connections', 'time'],
  cli: [
    'branches',
    'config',
    'connections',
    'databricks',
    'governance',
    'migrations',
    'startupNotices',
    'time',
    'undo',
  ],
};

/** Beside the rooms, and open to all of them. */
const SHARED =
  '^src/(errorCodes|errors|texts|tokenRefresher|refreshPolicy)\\.ts$';

/** Migrations run by the pools that the plugins get. */
const POOLS_FOR_THE_COMMAND = '^src/lakebaseEndpoint\\.ts$';

const room = (name, others) => ({
  name: `src-${name}`,
  comment: 'Rooms depend one way: see docs/architecture.md.',
  severity: 'error',
  from: { path: `^src/${name}/` },
  to: {
    path: '^src/',
    pathNot: [
      `^src/(${[name, ...others].join('|')})/`,
      SHARED,
      ...(name === 'cli' ? [POOLS_FOR_THE_COMMAND] : []),
    ],
  },
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circle',
      comment: 'Types included: what two files both need has a third one.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...Object.entries(ROOMS).map(([name, others]) => room(name, others)),
    {
      name: 'src-tokenRefresher',
      comment: 'It knows nothing of HTTP, Knex, Backstage or our texts.',
      severity: 'error',
      from: { path: '^src/(tokenRefresher|refreshPolicy)\\.ts$' },
      to: {
        path: '^src/',
        pathNot: ['^src/time/', '^src/(errors|refreshPolicy)\\.ts$'],
      },
    },
    {
      name: 'one-door',
      comment: 'Behind readConfig nobody holds a Config: settings are values.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: [
          '^src/config/(readConfig|blocks|endpointSettings|stockConfig|values)\\.ts$',
          '^src/(lakebase)\\.ts$',
          '^src/cli/loadConfig\\.ts$',
        ],
      },
      to: { path: 'node_modules/@backstage/config/' },
    },
    {
      name: 'src-alone',
      comment: 'What is published needs nothing of what tests it.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(bench|dev|emulator|suites|test|testbed)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
};
