import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DAY, HOUR } from '../../testbed/durations';
import { lakebaseTests } from '../support/lakebase';
import { commandLine, configFiles } from './commandLine';
import { nameOf, portalTests, PRODUCTION, sessionsOn } from './portal';

const startPortal = portalTests();
const start = lakebaseTests();
const files = configFiles();

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
    const emulator = await start.emulator();
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
    [
      'other',
      { source: nameOf('kept'), expiresAt: Date.now() + HOUR },
      /made from .*kept/,
    ],
    ['root', { expiresAt: Date.now() + HOUR }, /made from no other/],
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
    const { branch, branches, folder } = await startWithMany();
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
