import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import type { Emulator } from '../../emulator';
import { DAY, HOUR } from '../../testbed/durations';
import { FakeClock } from '../../testbed/fakeClock';
import { childProcess, commandLine, spawnCommand } from './commandLine';
import { nameOf, portalTests, PRODUCTION, sessionsOn } from './portal';

const PROJECT = 'projects/backstage';

const startPortal = portalTests();

describe('branch create', () => {
  it('makes a scrubbed copy, and says how to start on it', async () => {
    const { emulator, branch, out } = await startPortal();

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
    const { emulator, config, branch, out } = await startPortal();
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
    const { emulator, branch, branches, out } = await startPortal();
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
      expiresAt: Date.now() + HOUR,
    });

    const refused = await branch('create', 'demo');
    const replaced = await branch('create', 'demo', '--replace');

    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toMatch(/made from .*base.*--replace/);
    expect(replaced.exitCode).toBe(0);
    const { source } = emulator.controlPlane.catalog.branch(nameOf('demo'));
    expect(source).toBe(PRODUCTION);
  });

  it.each<[string, object, RegExp]>([
    ['production', {}, /is not replaced: the configuration points at it/],
    ['staging', { source: nameOf('base') }, /does not expire/],
    [
      'safe',
      { expiresAt: Date.now() + HOUR, isProtected: true },
      /it is protected/,
    ],
  ])('replaces no branch like %s', async (id, options, reason) => {
    const { emulator, branch } = await startPortal();
    const { catalog } = emulator.controlPlane;
    if (id !== 'production') catalog.addBranch(nameOf(id), options);
    const { uid } = catalog.branch(nameOf(id));

    const { exitCode, stderr } = await branch('create', id, '--replace');

    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: expect.stringMatching(reason) as string,
    });
    expect(catalog.branch(nameOf(id)).uid).toBe(uid);
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
    const { branch, branches, out } = await startPortal();

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
      'a source that is being made',
      /Wait until the source branch is made/,
      ({ controlPlane }) => {
        controlPlane.catalog.branch(PRODUCTION).state = 'INIT';
      },
    ],
    [
      'a source that expires',
      /expires at .*--from production/,
      ({ controlPlane }) => {
        const production = controlPlane.catalog.branch(PRODUCTION);
        production.expiresAt = Date.now() + HOUR;
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
  async function repositoryIn(folder: string, branch: string): Promise<void> {
    const git = (...args: string[]) =>
      promisify(execFile)('git', ['-C', folder, ...args]);
    await git('init', '--quiet');
    await git('symbolic-ref', 'HEAD', `refs/heads/${branch}`);
  }

  it.each([
    ['main', /^dev-main$/],
    ['feature/search', /^dev-feature-search-[0-9a-f]{8}$/],
    ['中文', /^dev-[0-9a-f]{8}$/],
  ])('is named after %s', async (branch, expected) => {
    const { config, branches, out, folder } = await startPortal();
    await repositoryIn(folder, branch);

    const { exitCode, stderr } = await childProcess(
      ['branch', 'create', '--git', '--config', config, '--out', out],
      {},
      folder,
    );

    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(branches()[0].split('/').at(-1)).toMatch(expected);
  });

  it('is refused where HEAD is detached, and outside of a repository', async () => {
    const { config, branches, folder } = await startPortal();
    const args = ['branch', 'create', '--git', '--config', config];
    const outside = await childProcess(args, {}, folder);
    await repositoryIn(folder, 'main');
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
    const { emulator, config, out } = await startPortal();
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

describe('branch create, interrupted', () => {
  const MOMENTS: [string, (emulator: Emulator) => Promise<unknown>][] = [
    ['before it is made', it => it.controlPlane.once('branches', 'received')],
    ['while it is made', it => it.controlPlane.once('createBranch')],
    ['while it is waited for', it => it.controlPlane.once('operation')],
    ['while it is scrubbed', it => once(it.gateway, 'login')],
  ];

  const spawnCreate = (config: string, out: string) =>
    spawnCommand([
      ...['branch', 'create', 'demo', '--config', config, '--out', out],
    ]);

  it.each(MOMENTS)('leaves nothing behind (%s)', async (_, moment) => {
    const { emulator, config, branches, out } = await startPortal();
    emulator.controlPlane.operations.latencyMs = 300;
    const reached = moment(emulator);
    const child = spawnCreate(config, out);
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
    const { emulator, config, branch, out } = await startPortal();
    emulator.controlPlane.operations.latencyMs = 300;
    const reached = moment(emulator);
    const child = spawnCreate(config, out);
    const closed = once(child, 'close');
    await reached;
    child.kill('SIGKILL');
    await closed;

    const { exitCode, stderr } = await branch('create', 'demo');

    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(await sessionsOn(emulator, nameOf('demo'))).toBe(0);
  });
});
