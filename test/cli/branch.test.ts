import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import {
  type Emulator,
  type PostgresServer,
  startPostgresProcess,
} from '../../emulator';
import { DAY, HOUR } from '../../testbed/durations';
import { FakeClock } from '../../testbed/fakeClock';
import { postgresOfWorker } from '../../testbed/postgresOfWorker';
import { lakebaseTests } from '../support/lakebase';
import {
  childProcess,
  commandLine,
  configFiles,
  spawnCommand,
} from './commandLine';

const start = lakebaseTests();
const files = configFiles();

const PROJECT = 'projects/backstage';
const PRODUCTION = `${PROJECT}/branches/production`;
const nameOf = (id: string) => `${PROJECT}/branches/${id}`;

let own: PostgresServer | undefined;
let folder: string;
let out: string;

beforeAll(async () => {
  if (!postgresOfWorker().data) own = await startPostgresProcess();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backstage-lakebase-test-'));
  out = join(folder, 'app-config.branch.yaml');
});
afterEach(() => rm(folder, { recursive: true }));
afterAll(() => own?.stop());

interface Portal {
  emulator: Emulator;
  config: string;
  branch(...args: string[]): ReturnType<typeof commandLine>;
  scrub(...args: string[]): ReturnType<typeof commandLine>;
  /** What the platform has now, production excluded. */
  branches(): string[];
}

async function startPortal(history = false): Promise<Portal> {
  const emulator = await start.emulator({
    history,
    ...(own && { postgres: own }),
  });
  const lakebase = start.lakebase(emulator, { pluginDivisionMode: 'schema' });
  const knex = await lakebase.getClient('auth');
  await knex.raw('CREATE TABLE sessions (id text, data text)');
  await knex.raw(`INSERT INTO sessions VALUES ('1', 'secret')`);
  await lakebase.stop();
  const config = await files.leadingTo(emulator);
  const run = (args: string[]) =>
    commandLine([...args, '--config', config], {
      // Whose own Ctrl-C is not to be met here.
      interrupted: new AbortController().signal,
    });
  return {
    emulator,
    config,
    branch: (...args) =>
      run(['branch', ...args, ...(args[0] === 'create' ? ['--out', out] : [])]),
    scrub: (...args) => run(['scrub', ...args]),
    branches: () =>
      emulator.controlPlane.catalog
        .branches()
        .map(({ name }) => name)
        .filter(name => name !== PRODUCTION),
  };
}

const sessionsOn = async (emulator: Emulator, branch: string) => {
  const sql = 'SELECT count(*)::int FROM auth.sessions';
  const [{ count }] = await emulator.queryBranch(branch, sql);
  return count as number;
};

describe('branch create', () => {
  it('makes a scrubbed copy, and says how to start on it', async () => {
    const { emulator, branch } = await startPortal();

    const { exitCode, stdout, stderr } = await branch('create', 'demo');

    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stdout).toMatch(/auth +sessions +1 /);
    expect(stdout).toContain(`--config ${out}`);
    expect(stderr).toMatch(/s {2}make demo/);
    expect(await sessionsOn(emulator, nameOf('demo'))).toBe(0);
    expect(await sessionsOn(emulator, PRODUCTION)).toBe(1);
    const { expiresAt } = emulator.controlPlane.catalog.branch(nameOf('demo'));
    expect(expiresAt! - Date.now()).toBeGreaterThan(6.9 * DAY);
  });

  it('writes a configuration that leads there', async () => {
    const { emulator, config, branch } = await startPortal();
    await branch('create', 'demo');
    await emulator.queryBranch(nameOf('demo'), 'CREATE SCHEMA on_the_copy');

    const overlay = await readFile(out, 'utf8');
    const { stdout, exitCode } = await commandLine([
      ...['doctor', '--json', '--config', config, '--config', out],
    ]);

    expect(overlay).toContain(`endpoint: ${nameOf('demo')}/endpoints/primary`);
    expect(overlay).not.toMatch(/secret/i);
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
    const host = emulator.controlPlane.catalog.branch(nameOf('demo')).host!;
    expect(emulator.gateway.serverNames).toContain(host);
  });

  it('finds the branch again that it made', async () => {
    const { emulator, branch, branches } = await startPortal();
    await branch('create', '--pr', '42');
    await emulator.queryBranch(
      nameOf('ci-pr-42'),
      `INSERT INTO auth.sessions VALUES ('2', 'of the copy')`,
    );

    const { exitCode, stdout } = await branch(
      ...['create', '--pr', '42', '--json'],
    );

    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ version: 1, created: false });
    expect(branches()).toEqual([nameOf('ci-pr-42')]);
    // Who works on it keeps what is new there.
    expect(await sessionsOn(emulator, nameOf('ci-pr-42'))).toBe(1);
    const { expiresAt } = emulator.controlPlane.catalog.branch(
      nameOf('ci-pr-42'),
    );
    expect(expiresAt! - Date.now()).toBeLessThanOrEqual(DAY);
  });

  it('goes on where it was killed', async () => {
    const { emulator, branch } = await startPortal();
    const { controlPlane } = emulator;
    controlPlane.branchChanges.create(PROJECT, 'demo', {
      source_branch: PRODUCTION,
      ttl: '3600s',
    });

    const { exitCode } = await branch('create', 'demo');

    expect(exitCode).toBe(0);
    expect(await sessionsOn(emulator, nameOf('demo'))).toBe(0);
  });

  it('begins in the past', async () => {
    const { emulator, branch } = await startPortal(true);
    const [{ now }] = await emulator.query(
      `SELECT date_trunc('milliseconds', clock_timestamp()) + '1 ms' AS now,
              pg_sleep(0.002)`,
    );
    await emulator.query('CREATE SCHEMA later');

    const at = (now as Date).toISOString();
    const { exitCode } = await branch('create', 'then', '--at', at);

    expect(exitCode).toBe(0);
    const found = await emulator.queryBranch(
      nameOf('then'),
      `SELECT FROM pg_namespace WHERE nspname = 'later'`,
    );
    expect(found).toEqual([]);
  });

  it('leaves it as it is when that is meant, and says what that means', async () => {
    const { emulator, branch } = await startPortal();

    const { exitCode, stderr } = await branch('create', 'demo', '--no-scrub');

    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/not scrubbed.*acts on the world/);
    expect(await sessionsOn(emulator, nameOf('demo'))).toBe(1);
  });

  it('leaves nothing where it could not scrub', async () => {
    const { emulator, branch, branches } = await startPortal();
    await emulator.query(
      'CREATE SCHEMA acme; CREATE TABLE acme.v (token text)',
    );

    const refused = await branch('create', 'demo');

    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(/acme\.v \(token\).*--allow-unknown/);
    expect(existsSync(out)).toBe(false);
    expect(branches()).toEqual([]);
    const allowed = await branch('create', 'demo', '--allow-unknown', 'acme');
    expect(allowed.exitCode).toBe(0);
  });

  it('takes the life that the workspace allows, and says so', async () => {
    const { emulator, branch } = await startPortal();
    emulator.controlPlane.branchChanges.maxTtlMs = 7 * DAY;

    const { exitCode, stderr } = await branch('create', 'demo', '--ttl', '14d');

    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/allows no life of 14d: it is 7d/);
  });

  it('makes the endpoint where the platform makes none', async () => {
    const { emulator, branch } = await startPortal();
    emulator.controlPlane.catalog.makesPrimary = false;

    expect((await branch('create', 'demo')).exitCode).toBe(0);
  });

  it('replaces a branch of another source only when told to', async () => {
    const { emulator, branch } = await startPortal();
    emulator.controlPlane.catalog.addBranch(nameOf('base'));
    emulator.controlPlane.catalog.addBranch(nameOf('demo'), {
      source: nameOf('base'),
    });

    const refused = await branch('create', 'demo');
    const replaced = await branch('create', 'demo', '--replace');

    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toMatch(/made from .*base.*--replace/);
    expect(replaced.exitCode).toBe(0);
    const { source } = emulator.controlPlane.catalog.branch(nameOf('demo'));
    expect(source).toBe(PRODUCTION);
  });

  it('is the same when two do it at once', async () => {
    const { branch, branches } = await startPortal();

    const both = await Promise.all([
      branch('create', 'demo'),
      branch('create', 'demo'),
    ]);

    expect(both.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual([
      [0, expect.anything()],
      [0, expect.anything()],
    ]);
    expect(branches()).toEqual([nameOf('demo')]);
  });

  it.each<[string, RegExp, (emulator: Emulator) => void]>([
    [
      'a 429 in a poll',
      /^$/,
      ({ controlPlane }) =>
        controlPlane.answer('operation', { status: 429 }, { times: 1 }),
    ],
    [
      'an operation that is forgotten',
      /^$/,
      ({ controlPlane }) =>
        controlPlane.answer('operation', { status: 404 }, { times: 1 }),
    ],
  ])('gets over %s', async (_, __, arrange) => {
    const { emulator, branch } = await startPortal();
    emulator.controlPlane.operations.latencyMs = 100;
    arrange(emulator);

    const { exitCode, stderr } = await branch('create', 'demo');

    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  });

  it.each<[string, string[], number, RegExp]>([
    ['without a name', [], 2, /no name.*--pr.*--git/],
    ['with two', ['demo', '--pr', '4'], 2, /several names/],
    ['with a bad one', ['Demo'], 2, /no name of a branch/],
    [
      'with a life without a unit',
      ['demo', '--ttl', '7'],
      2,
      /--ttl.*s, m, h or d/,
    ],
    ['with too long a life', ['demo', '--ttl', '31d'], 2, /30 days/],
    ['at a moment without a unit', ['demo', '--at', '-5'], 2, /--at/],
    ['at a moment to come', ['demo', '--at', '2999-01-01T00:00Z'], 2, /future/],
    ['before the window', ['demo', '--at', '-8d'], 2, /restore window/],
    ['from no branch', ['demo', '--from', 'none'], 3, /no branch .*none/],
    ['with a word too many', ['demo', 'demo2'], 2, /too many arguments/],
  ])('is refused %s', async (_, args, code, text) => {
    const { branch, branches } = await startPortal();

    const { exitCode, stderr } = await branch('create', ...args);

    expect({ exitCode, stderr }).toEqual({
      exitCode: code,
      stderr: expect.stringMatching(text) as string,
    });
    expect(branches()).toEqual([]);
    expect(existsSync(out)).toBe(false);
  });

  it.each<[string, RegExp, (emulator: Emulator) => void]>([
    [
      'whoever may only use the project',
      /CAN MANAGE/,
      ({ controlPlane, servicePrincipal }) =>
        controlPlane.workspace.setPermission(
          servicePrincipal.clientId,
          'CAN_USE',
        ),
    ],
    [
      'a full project',
      /10 branches.*branch delete spare-8/s,
      ({ controlPlane }) => {
        for (let i = 0; i < 9; i++) {
          controlPlane.catalog.addBranch(nameOf(`spare-${i}`), {
            source: PRODUCTION,
            expiresAt: Date.now() + HOUR,
          });
        }
      },
    ],
    [
      'an operation that fails',
      /began to make .*INTERNAL_ERROR/,
      ({ controlPlane }) => controlPlane.operations.failNext('none left'),
    ],
  ])('is refused to %s', async (_, text, arrange) => {
    const { emulator, branch, branches } = await startPortal();
    arrange(emulator);
    const before = branches();

    const { exitCode, stderr } = await branch('create', 'demo');

    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: expect.stringMatching(text) as string,
    });
    expect(branches()).toEqual(before);
  });
});

describe('branch create --git', () => {
  async function repository(branch: string): Promise<string> {
    const git = (...args: string[]) =>
      promisify(execFile)('git', ['-C', folder, ...args]);
    await git('init', '--quiet');
    await git('symbolic-ref', 'HEAD', `refs/heads/${branch}`);
    return folder;
  }

  it.each([
    ['main', /^dev-main$/],
    ['feature/search', /^dev-feature-search-[0-9a-f]{8}$/],
    ['中文', /^dev-[0-9a-f]{8}$/],
  ])('is named after %s', async (branch, expected) => {
    const { config, branches } = await startPortal();

    const { exitCode, stderr } = await childProcess(
      ['branch', 'create', '--git', '--config', config, '--out', out],
      {},
      await repository(branch),
    );

    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(branches()[0].split('/').at(-1)).toMatch(expected);
  });

  it('is refused where HEAD is detached, and outside of a repository', async () => {
    const { config, branches } = await startPortal();
    const args = ['branch', 'create', '--git', '--config', config];
    const outside = await childProcess(args, {}, folder);
    await repository('main');
    await writeFile(join(folder, '.git', 'HEAD'), `${'0'.repeat(40)}\n`);

    const detached = await childProcess(args, {}, folder);

    for (const { exitCode, stderr } of [outside, detached]) {
      expect({ exitCode, stderr }).toEqual({
        exitCode: 2,
        stderr: expect.stringMatching(/HEAD is detached.*--pr/s) as string,
      });
    }
    expect(branches()).toEqual([]);
  });
});

describe('branch create, on a platform that never ends', () => {
  it('gives up, and says how it goes on', async () => {
    const { emulator, config } = await startPortal();
    const clock = new FakeClock();
    clock.skipsPauses = true;
    emulator.controlPlane.answer('operation', {
      change: (operation: object) => ({ ...operation, done: false }),
    });

    const { exitCode, stderr } = await commandLine(
      ['branch', 'create', 'demo', '--config', config, '--out', out],
      { clock },
    );

    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: expect.stringMatching(/Waited 10 minutes.*goes on/s) as string,
    });
  });
});

describe('a configuration without branches', () => {
  it.each<[string, object, RegExp]>([
    [
      'of an instance of Provisioned',
      { lakebase: { endpoint: null, instance: 'backstage-instance' } },
      /Provisioned, which has no branches/,
    ],
    [
      'of single plugins',
      {
        lakebase: null,
        plugin: {
          catalog: {
            lakebase: {
              endpoint: `${PRODUCTION}/endpoints/primary`,
              workspace: { host: 'https://dbc-1.example.com', token: 'dapi-x' },
            },
          },
        },
      },
      /not configured, so there is no project/,
    ],
  ])('is refused (%s)', async (_, overrides, text) => {
    const emulator = await start.emulator(own && { postgres: own });
    const config = await files.leadingTo(emulator, overrides);

    const { exitCode, stderr } = await commandLine([
      'branch',
      'list',
      '--config',
      config,
    ]);

    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: expect.stringMatching(text) as string,
    });
  });
});

describe('branch create, interrupted', () => {
  const MOMENTS: [string, (emulator: Emulator) => Promise<unknown>][] = [
    ['before it is made', it => it.controlPlane.once('branches', 'received')],
    ['while it is made', it => it.controlPlane.once('createBranch')],
    ['while it is waited for', it => it.controlPlane.once('operation')],
    ['while it is scrubbed', it => once(it.gateway, 'login')],
  ];

  it.each(MOMENTS)('leaves nothing behind (%s)', async (_, moment) => {
    const { emulator, config, branches } = await startPortal();
    emulator.controlPlane.operations.latencyMs = 300;
    const reached = moment(emulator);
    const child = spawnCommand([
      ...['branch', 'create', 'demo', '--config', config, '--out', out],
    ]);
    const stderr = text(child.stderr);
    const closed = once(child, 'close');

    await reached;
    child.kill('SIGINT');

    const [code] = (await closed) as [number];
    expect({ code, stderr: await stderr }).toMatchObject({ code: 130 });
    expect(branches()).toEqual([]);
    expect(existsSync(out)).toBe(false);
  });

  it.each(MOMENTS)('is gone on with after SIGKILL (%s)', async (_, moment) => {
    const { emulator, config, branch } = await startPortal();
    emulator.controlPlane.operations.latencyMs = 300;
    const reached = moment(emulator);
    const child = spawnCommand([
      ...['branch', 'create', 'demo', '--config', config, '--out', out],
    ]);
    const closed = once(child, 'close');
    await reached;
    child.kill('SIGKILL');
    await closed;

    const { exitCode, stderr } = await branch('create', 'demo');

    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(await sessionsOn(emulator, nameOf('demo'))).toBe(0);
  });
});

describe('branch list', () => {
  it('shows what is for whom', async () => {
    const { branch } = await startPortal();
    await branch('create', '--pr', '42');

    const { stdout } = await branch('list');
    const json = await branch('list', '--json');

    expect(stdout).toMatch(/production .*READY, default .*this configuration/);
    expect(stdout).toMatch(
      /ci-pr-42 +production .* (1d|23h 59m) .*pull request 42/,
    );
    const { branches } = JSON.parse(json.stdout) as {
      branches: { id: string; madeHere: boolean }[];
    };
    expect(branches.map(({ id, madeHere }) => [id, madeHere])).toEqual([
      ['production', false],
      ['ci-pr-42', true],
    ]);
  });

  it('shows deleted ones when they are asked for', async () => {
    const { branch } = await startPortal();
    await branch('create', '--pr', '42');
    await branch('delete', 'ci-pr-42');

    expect((await branch('list')).stdout).not.toContain('ci-pr-42');
    expect((await branch('list', '--deleted')).stdout).toMatch(
      /ci-pr-42 .*DELETED/,
    );
  });
});

describe('branch delete', () => {
  it('deletes a copy, and is content when it is gone', async () => {
    const { branch, branches } = await startPortal();
    await branch('create', 'demo');

    expect((await branch('delete', 'demo')).stdout).toMatch(/demo {2}deleted/);
    expect(branches()).toEqual([]);
    expect(await branch('delete', 'demo')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/not there/) as string,
    });
  });

  it.each<[string, object, RegExp]>([
    ['production', {}, /the configuration points at it/],
    ['kept', { source: PRODUCTION }, /does not expire/],
    ['safe', { source: PRODUCTION, isProtected: true }, /protected/],
    ['other', { source: nameOf('kept') }, /made from .*kept/],
    ['root', {}, /made from no other/],
  ])('leaves %s', async (id, options, reason) => {
    const { emulator, branch } = await startPortal();
    const { catalog } = emulator.controlPlane;
    if (id !== 'production') catalog.addBranch(nameOf(id), options);

    const { exitCode, stderr } = await branch('delete', id);

    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: expect.stringMatching(reason) as string,
    });
    expect(catalog.branch(nameOf(id))).toBeDefined();
  });
});

describe('branch sweep', () => {
  async function startWithMany() {
    const portal = await startPortal();
    const { catalog } = portal.emulator.controlPlane;
    const expiring = { source: PRODUCTION, expiresAt: Date.now() + 9 * DAY };
    const old = { ...expiring, createdAt: Date.now() - 4 * DAY };
    catalog.addBranch(nameOf('ci-pr-1'), old);
    catalog.addBranch(nameOf('ci-pr-2'), expiring);
    catalog.addBranch(nameOf('dev-main'), expiring);
    catalog.addBranch(nameOf('dev-safe'), { ...old, isProtected: true });
    catalog.addBranch(nameOf('by-hand'), old);
    catalog.addBranch(nameOf('ci-pr-9'), { ...old, source: nameOf('by-hand') });
    return portal;
  }

  it('deletes what is over, and only what it made', async () => {
    const { branch, branches } = await startWithMany();
    const closed = join(folder, 'closed');
    await writeFile(closed, '2\n77\n');

    const { exitCode, stdout } = await branch(
      ...['sweep', '--older-than', '3d', '--closed-prs', closed],
    );

    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/dev-safe {2}kept: it is protected/);
    expect(branches()).toEqual(
      ['dev-main', 'dev-safe', 'by-hand', 'ci-pr-9'].map(nameOf),
    );
  });

  it('only tells in a dry run', async () => {
    const { branch, branches } = await startWithMany();

    const { stdout } = await branch('sweep', '--older-than', '3d', '--dry-run');

    expect(stdout).toMatch(/ci-pr-1 {2}would be deleted/);
    expect(branches()).toHaveLength(6);
  });

  it.each<[string, string[], RegExp]>([
    ['without a word on what is over', [], /--older-than.*--closed-prs/],
    ['without that file', ['--closed-prs', '/nowhere'], /ENOENT/],
    ['with a bad duration', ['--older-than', '3'], /--older-than/],
  ])('is refused %s', async (_, args, text) => {
    const { branch } = await startPortal();

    const { exitCode, stderr } = await branch('sweep', ...args);

    expect(exitCode).toBe(2);
    expect(stderr).toMatch(text);
  });
});

describe('scrub', () => {
  it('takes out of a copy what is new there', async () => {
    const { emulator, branch, scrub } = await startPortal();
    await branch('create', 'demo', '--no-scrub');

    const { exitCode, stdout } = await scrub('--branch', 'demo');

    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/auth +sessions +1 /);
    expect(await sessionsOn(emulator, nameOf('demo'))).toBe(0);
  });

  it.each(['production', 'safe', 'root'])('leaves %s alone', async id => {
    const { emulator, scrub } = await startPortal();
    const { catalog } = emulator.controlPlane;
    if (id === 'safe')
      catalog.addBranch(nameOf(id), { source: PRODUCTION, isProtected: true });
    if (id === 'root') catalog.addBranch(nameOf(id));

    const { exitCode, stderr } = await scrub('--branch', id);

    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/is not scrubbed/);
    expect(await sessionsOn(emulator, PRODUCTION)).toBe(1);
  });
});
