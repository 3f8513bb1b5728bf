import { commandLine } from '../commandLine';
import { nameOf, portalTests, PRODUCTION } from '../portal';
import { DAY, HOUR } from '../../../testbed/durations';
import { billedPortals } from './portalOnBill';

const startPortal = portalTests();
const start = billedPortals();

interface Told {
  branches: { at: string; kind: string; branch: string; detail: string }[];
  log?: {
    who: string;
    action: string;
    status: number;
    times: number;
    params: Record<string, string>;
  }[];
}

describe('audit', () => {
  it('tells what became of branches, without a warehouse', async () => {
    const { run, emulator, now, pass } = await start();
    const { catalog } = emulator.controlPlane;
    const begin = now();
    pass(DAY);
    catalog.addBranch(nameOf('ci-pr-7'), {
      source: PRODUCTION,
      sourceTime: new Date(now()),
      expiresAt: now() + DAY,
    });
    catalog.addBranch(nameOf('undo-1'), {
      source: PRODUCTION,
      sourceTime: new Date(begin + HOUR),
    });
    catalog.addBranch(nameOf('dev-x'), { source: PRODUCTION });
    pass(HOUR);
    catalog.deleteBranch(nameOf('undo-1'), now());
    catalog.deleteBranch(nameOf('dev-x'), now());
    pass(2 * DAY);
    catalog.undeleteBranch(nameOf('dev-x'));

    const { stdout } = await run('audit', '--json');
    const { stdout: text } = await run('audit');

    const { branches, log } = JSON.parse(stdout) as Told;
    expect(log).toBeUndefined();
    const of = (branch: string) =>
      branches
        .filter(it => it.branch === branch)
        .map(({ kind, detail }) => [kind, detail]);
    expect(of('ci-pr-7')).toEqual([
      ['made', 'a copy of production'],
      ['expired', expect.stringMatching(/can be restored until/)],
    ]);
    expect(of('undo-1')).toEqual([
      [
        'made',
        `a copy of production as it was at ${new Date(begin + HOUR).toISOString()}`,
      ],
      ['deleted', expect.stringMatching(/can be restored until/)],
    ]);
    expect(of('dev-x')).toEqual([
      ['made', 'a copy of production'],
      ['ready-again', expect.stringMatching(/restored, reset or unarchived/)],
    ]);
    expect(text).toMatch(/expired +ci-pr-7/);
    expect(text).toMatch(/Who did it, the log of the account tells/);
  });

  it('tells who did what, by the log of the account', async () => {
    const { branch, emulator, config } = await startPortal();
    const { controlPlane, servicePrincipal } = emulator;
    await branch('create', 'demo', '--no-scrub');
    await branch('delete', 'demo');
    const audit = (...args: string[]) =>
      commandLine([
        ...['audit', '--warehouse', controlPlane.warehouse.id],
        ...[...args, '--config', config],
      ]);

    const { stdout } = await audit('--json');
    const { stdout: ofOne } = await audit('--branch', 'demo', '--json');
    const { stdout: text } = await audit();

    const { log = [] } = JSON.parse(stdout) as Told;
    expect(log.map(({ who, action, status }) => [who, action, status])).toEqual(
      expect.arrayContaining([
        [servicePrincipal.clientId, 'createBranch', 200],
        [servicePrincipal.clientId, 'deleteBranch', 200],
      ]),
    );
    const mints = log.filter(({ action }) => /Credential/.test(action));
    expect(mints).toHaveLength(1);
    expect(mints[0].times).toBe(controlPlane.count('credentials'));
    const actions = (JSON.parse(ofOne) as Told).log?.map(it => it.action);
    expect(actions).toEqual(['createBranch', 'deleteBranch']);
    expect(text).toMatch(/postgres deleteBranch +200 +1 +name=\S+demo/);
  });

  it('leaves out what others did in other projects', async () => {
    const { run, warehouse, emulator } = await start();
    const { controlPlane } = emulator;
    controlPlane.catalog.addProject('projects/backstage-2');
    await fetch(
      `${controlPlane.url}/api/2.0/postgres/projects/backstage-2/branches?branch_id=x`,
      {
        method: 'POST',
        headers: {
          authorization: `Bearer ${controlPlane.issueWorkspaceToken(emulator.servicePrincipal.clientId)}`,
        },
        body: JSON.stringify({ spec: { no_expiry: true } }),
      },
    );

    const { stdout } = await run('audit', '--warehouse', warehouse, '--json');

    expect(controlPlane.count('createBranch', { status: 200 })).toBe(1);
    expect((JSON.parse(stdout) as Told).log).toEqual([]);
  });

  it('explains an empty log', async () => {
    const { run, warehouse, emulator } = await start();
    emulator.controlPlane.warehouse.deliversAudit = false;

    const { stdout, exitCode } = await run('audit', '--warehouse', warehouse);

    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/not delivered in this workspace .*too fresh/);
  });

  it('names a branch that nobody knows', async () => {
    const { run } = await start();

    const { exitCode, stderr } = await run('audit', '--branch', 'nope');

    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/no branch nope.*branch list --deleted/);
  });

  it('reads the id of the warehouse from the environment', async () => {
    const { emulator, config } = await startPortal();
    const { warehouse } = emulator.controlPlane;

    const { stdout } = await commandLine(
      ['audit', '--json', '--config', config],
      { env: { DATABRICKS_WAREHOUSE_ID: warehouse.id } },
    );

    expect((JSON.parse(stdout) as Told).log).toBeDefined();
  });
});

describe('an interrupted audit', () => {
  it('cancels what the warehouse does', async () => {
    const { emulator, config } = await startPortal();
    const { controlPlane } = emulator;
    const { warehouse } = controlPlane;
    warehouse.hold(true);
    const keyboard = new AbortController();

    const running = commandLine(
      ['audit', '--warehouse', warehouse.id, '--config', config],
      { interrupted: keyboard.signal },
    );
    await controlPlane.once('submitStatement');
    keyboard.abort();

    expect((await running).exitCode).toBe(130);
    expect(warehouse.states()).toEqual(['CANCELED']);
  });
});
