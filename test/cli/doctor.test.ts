import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Emulator } from '../../emulator';
import { databaseConfig } from '../../emulator';
import { run } from '../../src/cli/program';
import { processTerminal } from '../../src/cli/terminal';
import { FakeClock } from '../../testbed/fakeClock';
import { lakebaseTests } from '../support/lakebase';
import {
  childProcess,
  commandLine,
  configFiles,
  diagnosis,
} from './commandLine';

const start = lakebaseTests();
const files = configFiles();

const messageOf = (
  { results }: Awaited<ReturnType<typeof diagnosis>>,
  check: string,
) => results.find(result => result.check === check)!.message;

describe('the doctor of a backend that is fit to start', () => {
  it.each(['schema', 'database'])(
    'tells so on one screen, with a %s for each plugin',
    async pluginDivisionMode => {
      const emulator = await start.emulator();
      const lakebase = start.lakebase(emulator, { pluginDivisionMode });
      await lakebase.getClient('catalog');
      const file = await files.leadingTo(emulator, { pluginDivisionMode });

      const { exitCode, stdout, stderr } = await commandLine([
        'doctor',
        '--config',
        file,
      ]);

      const lines = stdout.trimEnd().split('\n');
      expect(lines.at(-1)).toBe('Fit to start.');
      expect(lines.length).toBeLessThanOrEqual(24);
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(101);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    },
  );

  it('is the command itself, for shells', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);

    const healthy = await childProcess(['doctor', '--config', file]);
    const broken = await childProcess(['doctor', '--config', file], {
      APP_CONFIG_backend_database_lakebase_endpoint: 'nonsense',
    });

    expect(healthy.stdout).toMatch(/\nFit to start\.\n$/);
    expect(healthy).toMatchObject({ exitCode: 0, stderr: '' });
    expect(broken.stdout).toContain('is not the name of an endpoint');
    expect(broken.stdout).not.toContain('Not checked');
    expect(broken.exitCode).toBe(2);
  });

  it('is of the version that the package says', async () => {
    const { version } = JSON.parse(
      await readFile(join(__dirname, '..', '..', 'package.json'), 'utf8'),
    ) as { version: string };

    await expect(commandLine(['--version'])).resolves.toEqual({
      exitCode: 0,
      stdout: `${version}\n`,
      stderr: '',
    });
  });

  it('changes nothing in the database', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator, {
      pluginDivisionMode: 'database',
    });
    const objects = () =>
      emulator.query(
        'SELECT datname AS name FROM pg_database UNION SELECT nspname FROM pg_namespace',
      );
    const before = await objects();

    await diagnosis(file);

    await expect(objects()).resolves.toEqual(before);
  });

  it('wakes an endpoint that is suspended', async () => {
    const emulator = await start.emulator();
    await emulator.gateway.suspend({ wakeDelayMs: 300 });

    const found = await diagnosis(await files.leadingTo(emulator));

    expect(messageOf(found, 'endpoint')).toContain('suspended');
    expect(found.exitCode).toBe(0);
  });

  it('logs in as the person who runs it, by a personal access token', async () => {
    const emulator = await start.emulator();
    const { userName } = await emulator.addUser({ email: 'ada@example.com' });
    const token = emulator.controlPlane.createPersonalAccessToken(userName);
    const { host } = databaseConfig(emulator).lakebase.workspace;
    const file = await files.leadingTo(emulator, {
      lakebase: { workspace: null },
    });
    const env = { DATABRICKS_HOST: host, DATABRICKS_TOKEN: token };

    const { exitCode, stdout } = await commandLine(
      ['doctor', '--config', file],
      { env },
    );

    expect(stdout).toContain('ada@example.com is accepted, pat of');
    expect(stdout).toMatch(/current_user\s+ada@example.com/);
    expect(stdout).not.toContain(token);
    expect(exitCode).toBe(0);
  });

  it('tells where the login is at home, and what is not used', async () => {
    const emulator = await start.emulator();
    const { clientId } = emulator.servicePrincipal;

    const found = await diagnosis(await files.leadingTo(emulator));

    expect(messageOf(found, 'login')).toContain(`current_user ${clientId}`);
    expect(messageOf(found, 'admin database')).toContain(
      'postgres exists too, and is not used',
    );
    expect(messageOf(found, 'credential')).toBe('Minted, and lives 60 min');
  });

  it.each([
    ['has colors on a terminal', true, {}, true],
    ['has none with NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['has none in a file', false, {}, false],
  ])('%s', async (_, isTTY, env, colored) => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);
    let shown = '';
    const stdout = { isTTY, write: (text: string) => (shown += text) };

    await run(
      ['doctor', '--config', file],
      processTerminal({ stdout, stderr: stdout, env }),
    );

    expect(shown.includes('\u001b[32mok')).toBe(colored);
    expect(shown.includes('\u001b')).toBe(colored);
  });
});

describe('the doctor counts connections', () => {
  const counted = async (emulator: Emulator, ...args: string[]) =>
    messageOf(
      await diagnosis(
        await files.leadingTo(emulator, {
          plugin: { search: { knexConfig: { pool: { max: 5 } } } },
        }),
        ...args,
      ),
      'connections',
    );

  it('of ten plugins at least', async () => {
    const emulator = await start.emulator();

    const message = await counted(emulator);

    expect(message).toMatch(/^10 plugins \(assumed; .*\) × 2 or 5 .* = 23 of /);
  });

  it('of as many as are said, in as many replicas', async () => {
    const emulator = await start.emulator();

    const message = await counted(
      emulator,
      '--plugins',
      '3',
      '--replicas',
      '2',
    );

    expect(message).toMatch(/^4 plugins .* × 2 replicas = 22 of /);
  });

  it('of all that have a schema by now', async () => {
    const emulator = await start.emulator();
    const { clientId } = emulator.servicePrincipal;
    for (let index = 0; index < 12; index++) {
      await emulator.query(
        `CREATE SCHEMA plugin_${index} AUTHORIZATION "${clientId}";
         CREATE TABLE plugin_${index}.knex_migrations (id int);
         ALTER TABLE plugin_${index}.knex_migrations OWNER TO "${clientId}"`,
      );
    }

    const message = await counted(emulator);

    expect(message).toMatch(/^13 plugins \(that exist by now\) .* = 29 of /);
  });

  it('less those that the server keeps for itself', async () => {
    const emulator = await start.emulator();
    const [{ max, kept }] = await emulator.query(
      `SELECT current_setting('max_connections')::int AS max,
         current_setting('superuser_reserved_connections')::int AS kept`,
    );

    const message = await counted(emulator);

    expect(message).toContain(
      `of ${Number(max) - Number(kept)} (max_connections ${max} less ${kept} reserved)`,
    );
  });
});

describe('the doctor warns, and lets pass,', () => {
  it('a clock that is off', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.clockOffsetMs = -300_000;

    const { exitCode, results } = await diagnosis(
      await files.leadingTo(emulator),
    );

    const [warning, ...others] = results.filter(
      ({ status }) => status === 'warn',
    );
    expect(warning).toMatchObject({
      check: 'workspace',
      statements: ['sudo timedatectl set-ntp true'],
    });
    expect(warning.message).toMatch(
      / (299|300|301) s ahead of the workspace's$/,
    );
    expect(others).toEqual([]);
    expect(exitCode).toBe(0);
  });

  it('a clock that is off a little', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.clockOffsetMs = 25_000;

    const { results } = await diagnosis(await files.leadingTo(emulator));

    expect(results.map(({ status }) => status)).not.toContain('warn');
  });

  it('an endpoint that is not all well', async () => {
    const emulator = await start.emulator();
    const { controlPlane, endpoint } = emulator;
    controlPlane.catalog.changeEndpoint(endpoint, { state: 'DEGRADED' });

    const { exitCode, results } = await diagnosis(
      await files.leadingTo(emulator),
    );

    const [warning] = results.filter(({ status }) => status === 'warn');
    expect(warning.check).toBe('endpoint');
    expect(warning.message).toContain('is DEGRADED');
    expect(exitCode).toBe(0);
  });

  it('an admin database that is closed, where it is not needed', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator, {
      lakebase: { adminDatabase: 'absent' },
    });

    const { exitCode, results } = await diagnosis(file);

    const [warning] = results.filter(({ status }) => status === 'warn');
    expect(warning.check).toBe('admin database');
    expect(warning.message).toContain('needed only to create');
    expect(exitCode).toBe(0);
  });

  it('search without its engine for Postgres', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);
    await install(dirname(file), '@backstage/plugin-search-backend');

    const { exitCode, results } = await diagnosis(file);

    expect(results.at(-1)).toMatchObject({
      check: 'search engine',
      status: 'warn',
      statements: expect.arrayContaining([
        "backend.add(import('@backstage/plugin-search-backend-module-pg'));",
      ]) as string[],
    });
    expect(exitCode).toBe(0);
  });
});

it('the doctor finds the engine of search beside it', async () => {
  const emulator = await start.emulator();
  const file = await files.leadingTo(emulator);
  const backend = join(dirname(file), 'packages', 'backend');
  await install(backend, '@backstage/plugin-search-backend');
  await install(dirname(file), '@backstage/plugin-search-backend-module-pg');

  const { results } = await diagnosis(file);

  expect(results.at(-1)).toMatchObject({
    check: 'search engine',
    status: 'ok',
  });
});

it('the doctor takes another engine of search for one', async () => {
  const emulator = await start.emulator();
  const file = await files.leadingTo(emulator);
  const backend = join(dirname(file), 'packages', 'backend');
  await install(backend, '@backstage/plugin-search-backend');
  const engine = 'our-search-backend-module-typesense';
  const dependencies = {
    '@backstage/plugin-search-backend-module-catalog': '*',
    [engine]: '*',
  };
  await writeFile(
    join(backend, 'package.json'),
    JSON.stringify({ dependencies }),
  );

  const { results } = await diagnosis(file);

  expect(results.at(-1)).toMatchObject({
    check: 'search engine',
    status: 'ok',
    message: `Search is installed with ${engine}`,
  });
});

it('the doctor finds the same from the root of an app and from its backend', async () => {
  const emulator = await start.emulator();
  const file = await files.leadingTo(emulator);
  const root = dirname(file);
  const backend = join(root, 'packages', 'backend');
  await install(backend, '@backstage/plugin-search-backend');
  await writeFile(
    join(root, 'package.json'),
    JSON.stringify({ workspaces: ['packages/*'] }),
  );
  await writeFile(join(backend, 'package.json'), '{}');
  const local = join(root, 'app-config.local.yaml');
  await writeFile(local, 'backend: { database: { schemaPrefix: local_ } }');

  const [atRoot, inBackend] = [
    await childProcess(['doctor', '--json'], {}, root),
    await childProcess(['doctor', '--json'], {}, backend),
  ];

  expect(atRoot.stdout).toContain(`Read ${file} and ${local}: `);
  expect(atRoot.stdout).toContain('Search is installed without');
  expect(inBackend).toEqual(atRoot);
});

it('the doctor says which files it read of a configuration that it refuses', async () => {
  const file = await files.write('backend: { database: { client: pg } }');

  const { failure } = await diagnosis(file);

  expect(failure).toMatchObject({
    check: 'configuration',
    message: `No plugin is on Lakebase. Read ${file}`,
  });
});

async function install(folder: string, name: string): Promise<void> {
  const target = join(folder, 'node_modules', name);
  await mkdir(target, { recursive: true });
  await writeFile(join(target, 'package.json'), JSON.stringify({ name }));
}

it('the doctor examines each endpoint by itself', async () => {
  const emulator = await start.emulator();
  const { workspace } = databaseConfig(emulator).lakebase;
  const stranger = await emulator.addServicePrincipal({ role: false });
  const file = await files.leadingTo(emulator, {
    plugin: {
      catalog: { lakebase: { workspace: { ...workspace, ...stranger } } },
    },
  });

  const { results, failure } = await diagnosis(file);

  const logins = results.filter(({ check }) => check === 'login');
  expect(logins).toMatchObject([
    { endpoint: emulator.endpoint, status: 'ok' },
    { endpoint: `${emulator.endpoint} (catalog)`, status: 'fail' },
  ]);
  expect(failure).toBe(logins[1]);
});

describe('the doctor says what it waits for', () => {
  const wait = async (interactive: boolean) => {
    const emulator = await start.emulator();
    emulator.gateway.compute.suspend({ wakeDelayMs: 60_000, while: 'refuse' });
    const file = await files.leadingTo(emulator);
    const clock = new FakeClock();
    clock.skipsPauses = true;
    return commandLine(['doctor', '--config', file], { interactive, clock });
  };

  it('to a terminal, on stderr', async () => {
    const { stdout, stderr, exitCode } = await wait(true);

    expect(stderr).toMatch(
      /^New connections to Lakebase fail and are retried, for \d+ s more .* could not be reached \(ECONNRESET\)\..*\n$/,
    );
    expect(stdout).not.toContain('are retried');
    expect(exitCode).toBe(1);
  });

  it('not to a file', async () => {
    expect((await wait(false)).stderr).toBe('');
  });
});

describe('the doctor never shows', () => {
  it('a secret or a token, whatever is broken', async () => {
    const emulator = await start.emulator();
    const { clientSecret } = emulator.servicePrincipal;
    const right = await files.leadingTo(emulator);
    const wrong = await files.leadingTo(emulator, {
      lakebase: { workspace: { clientSecret: 'dose-canary' } },
    });
    const unreadable = await files.write(
      'backend:\n  database: {\n    password: dose-canary: [dose-canary\n',
    );

    const said: string[] = [];
    for (const file of [right, wrong, unreadable]) {
      for (const json of [[], ['--json']]) {
        const args = ['doctor', '--config', file, ...json];
        const { stdout, stderr } = await commandLine(args);
        said.push(stdout, stderr);
      }
    }

    expect(said.join('\n')).not.toContain(clientSecret);
    expect(said.join('\n')).not.toContain('dose-canary');
    expect(said.join('\n')).not.toMatch(/eyJ[\w-]{10,}/);
  });
});
