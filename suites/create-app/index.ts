import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOptions } from '../../testbed/arguments';
import { type Address, chooseAddress } from '../../testbed/backend';
import { type DemoDatabase, openDatabase } from '../../testbed/database';
import { pack } from '../../testbed/pack';
import { run } from '../../testbed/run';
import { onDeadline, onInterruption } from '../../testbed/signals';
import { thenStop } from '../../testbed/waiting';
import { App, createApp, type Template } from './app';
import { complaintsAbout } from './lockFile';
import { Portal } from './portal';
import { follow } from './readme';

const USAGE = `Usage: npm run create-app [-- --lock-only]

Creates apps as users do, adds the packed package by the words of the README,
and runs the newest one on the emulator.

  --lock-only  create and lock only
  --help       print this
`;

/** Several times what it takes. */
const DEADLINE_MS = 40 * 60_000;

/** The last one is run. */
const TEMPLATES: Template[] = [
  {
    release: '1.49',
    createApp: '0.8.0',
    backendOnly: true,
  },
  { release: '1.55', createApp: '0.9.2' },
  // As a user has it who has not moved on since.
  { release: '1.55', createApp: '0.9.2', lockedOn: '2026-11-01' },
  { release: '1.57', createApp: '0.9.2', newest: true },
];

const OURS = 'backstage-backend-module-lakebase';

const OVERLAY = join(__dirname, 'app-config.yaml');

/** Where they lie from packages/backend; production has them beside it. */
const EXAMPLES = {
  APP_CONFIG_catalog_locations: JSON.stringify([
    { type: 'file', target: '../../examples/entities.yaml' },
  ]),
};

const CONFIG = ['app-config.yaml', 'app-config.production.yaml'];

const configOf = (...files: string[]) =>
  files.flatMap(file => ['--config', file]);

/** Where a portal answers, and where it keeps its data. */
interface Place {
  address: Address;
  database: DemoDatabase;
}

async function main(lockOnly: boolean): Promise<void> {
  const signal = AbortSignal.any([onInterruption(), onDeadline(DEADLINE_MS)]);
  const folder = await mkdtemp(join(tmpdir(), 'create-app-'));
  const all = async () => {
    const tarball = await pack(folder, signal);
    let app!: App;
    for (const [index, template] of TEMPLATES.entries()) {
      app = await createApp(template, join(folder, `app${index}`), signal);
      await add(app, template, tarball);
    }
    if (!lockOnly) await tryOut(app, signal);
  };
  await thenStop(all, () =>
    rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  );
}

/** @throws when the app then has anything twice, or is warned of anything. */
async function add(
  app: App,
  template: Template,
  tarball: string,
): Promise<void> {
  const { release, lockedOn } = template;
  const dedupe = async () => (await app.tryYarn('dedupe', '--check')).passed;
  const before = { lock: await app.read('yarn.lock'), clean: await dedupe() };

  const said = await app.yarn(
    ...['workspace', 'backend', 'add', `${OURS}@file:${tarball}`],
    '--mode=update-lockfile',
  );

  const complaints = complaintsAbout(before.lock, await app.read('yarn.lock'));
  if (before.clean && !(await dedupe())) complaints.push('yarn dedupe is due');
  const warnings = said
    .split('\n')
    .filter(line => /YN00\d\d: │ .*lakebase.* (requested|provide)/.test(line));
  if (complaints.length + warnings.length > 0) {
    throw new Error(
      `Backstage ${release}: ${[...complaints, ...warnings].join('\n')}`,
    );
  }
  say(
    `Backstage ${release}${lockedOn ? `, locked on ${lockedOn}` : ''}: nothing but the package and pg-copy-streams is added`,
  );
}

async function tryOut(app: App, signal: AbortSignal): Promise<void> {
  await step('install', () => app.yarn('install', '--mode=skip-build'));
  await follow(app);
  // Both set variables that the configuration asks for.
  const address = await chooseAddress();
  const database = await openDatabase({ credentialLifeMs: 60_000 });
  const place: Place = { address, database };
  const withDatabase = async () => {
    const files = configOf(...CONFIG, OVERLAY);
    await step('tsc', () => app.yarn('tsc'));
    await step('lint', () => app.yarn('backstage-cli', 'repo', 'lint'));
    await step('config:check --strict', () =>
      app.yarn('backstage-cli', 'config:check', '--strict', ...files),
    );
    await step('config:print', async () => {
      const printed = await app.yarn('backstage-cli', 'config:print', ...files);
      const secret = process.env.DATABRICKS_CLIENT_SECRET!;
      if (printed.includes(secret)) throw new Error('It shows the secret');
    });
    await step('doctor', () =>
      app.yarn(
        ...['workspace', 'backend', 'run', 'backstage-lakebase', 'doctor'],
        ...configOf(...CONFIG.map(file => join('..', '..', file)), OVERLAY),
      ),
    );
    await step('package start', () => runForDevelopment(app, place, signal));
    await step('production bundle', () => runBundle(app, place, signal));
  };
  await thenStop(withDatabase, () => database.stop());
}

async function runForDevelopment(app: App, place: Place, signal: AbortSignal) {
  const files = CONFIG.map(file => join('..', '..', file));
  const backend = join(app.folder, 'packages', 'backend');
  const cli = join(app.folder, 'node_modules', '.bin', 'backstage-cli');
  const args = ['package', 'start', ...configOf(...files, OVERLAY)];
  await runPortal(cli, args, backend, place, signal, EXAMPLES);
}

/** As the Dockerfile of the template does it. */
async function runBundle(app: App, place: Place, signal: AbortSignal) {
  // It wants the types that tsc has made by now.
  await app.yarn('build:backend');
  const image = join(app.folder, '..', 'image');
  await mkdir(image);
  const copied = [
    '.yarn',
    '.yarnrc.yml',
    'backstage.json',
    'yarn.lock',
    'package.json',
    'examples',
    ...CONFIG,
  ];
  for (const name of copied) {
    await cp(join(app.folder, name), join(image, name), { recursive: true });
  }
  const unpack = async (name: string) => {
    const file = join(app.folder, 'packages', 'backend', 'dist', name);
    const { passed, output } = await run('tar', ['xzf', file], image, signal);
    if (!passed) throw new Error(output);
  };
  await unpack('skeleton.tar.gz');
  const installed = new App(image, signal);
  await installed.yarn('workspaces', 'focus', '--all', '--production');
  await unpack('bundle.tar.gz');
  const args = ['packages/backend', ...configOf(...CONFIG, OVERLAY)];
  await runPortal(process.execPath, args, image, place, signal, {
    NODE_ENV: 'production',
  });
}

async function runPortal(
  program: string,
  args: string[],
  cwd: string,
  { address, database: { emulator } }: Place,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  const portal = new Portal(program, args, cwd, env);
  const use = async () => {
    await portal.check(address, signal);
    const [{ documents }] = (await emulator!.query(
      'SELECT count(*) AS documents FROM search.documents',
    )) as { documents: string }[];
    if (Number(documents) === 0) throw new Error('Search is not in Postgres');
    await portal.stop(signal);
    await emulator!.gateway.drained();
  };
  await thenStop(use, () => portal.kill()).catch(error => {
    throw new Error(`${String(error)}\n${portal.output}`, { cause: error });
  });
}

async function step(name: string, work: () => Promise<unknown>): Promise<void> {
  const begin = performance.now();
  await work();
  say(`${name}: ${Math.round((performance.now() - begin) / 1000)} s`);
}

const say = (text: string) => console.log(`[create-app] ${text}`);

const { 'lock-only': lockOnly = false } = readOptions(USAGE, {
  'lock-only': { type: 'boolean' },
});
main(lockOnly).then(
  () => process.exit(),
  error => {
    console.error(error);
    process.exit(1);
  },
);
