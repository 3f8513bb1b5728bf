import type { Emulator } from '../../emulator';
import { DAY, HOUR } from '../../testbed/durations';
import { copyablePostgres } from '../support/copyablePostgres';
import { startTestEmulator } from '../support/emulator';
import { closeClients, fetchJson, logIn, workspaceToken } from './clients';

const PROJECT = 'projects/backstage';
const PRODUCTION = `${PROJECT}/branches/production`;
const PREVIEW = `${PROJECT}/branches/preview`;
const WEEK = { ttl: '604800s' };
const TYPE = 'type.googleapis.com/databricks.postgres.v1';

const copyable = copyablePostgres();
let emulator: Emulator;
let token: string;

afterEach(async () => {
  await closeClients(emulator);
  await emulator.stop();
});

async function start(options: { history?: boolean } = {}): Promise<void> {
  emulator = await startTestEmulator({
    ...options,
    ...copyable(),
  });
  token = await workspaceToken(emulator);
  await emulator.query('CREATE TABLE t AS SELECT 1 AS n');
}

interface Reply {
  name: string;
  done: boolean;
  metadata: object;
  response: object;
  error: { message: string };
  error_code: string;
  message: string;
  details: object[];
  branches: { name: string; status: Record<string, unknown> }[];
  status: Record<string, unknown>;
}

async function call(method: string, path: string, body?: object) {
  const { status, body: reply } = await fetchJson(
    `${emulator.controlPlane.url}/api/2.0/postgres/${path}`,
    {
      method,
      headers: { authorization: `Bearer ${token}` },
      body: body && JSON.stringify(body),
    },
  );
  return { status, body: reply as unknown as Reply };
}

const create = (id: string, spec: object = WEEK) =>
  call('POST', `${PROJECT}/branches?branch_id=${id}`, { spec });

/** As it looks when it has ended. */
async function finished(operation: { body: Reply }): Promise<Reply> {
  await emulator.controlPlane.operations.settled();
  return (await call('GET', operation.body.name)).body;
}

const change = async (...args: Parameters<typeof call>) =>
  finished(await call(...args));

async function connectTo(branch: string) {
  const { body } = await call('GET', `${branch}/endpoints/primary`);
  const { host } = body.status.hosts as { host: string };
  return logIn(emulator, { host });
}

async function numbersOn(branch: string): Promise<number[]> {
  const rows = await emulator.queryBranch(branch, 'SELECT n FROM t ORDER BY n');
  return rows.map(({ n }) => n as number);
}

describe('a branch', () => {
  it('is a copy of its own, behind a host of its own', async () => {
    await start();

    const pending = await create('preview');
    expect(pending.body).toMatchObject({
      done: false,
      metadata: { '@type': `${TYPE}.BranchOperationMetadata` },
    });
    const done = await finished(pending);

    expect(done).toMatchObject({
      done: true,
      response: {
        '@type': `${TYPE}.Branch`,
        name: PREVIEW,
        status: { current_state: 'READY', source_branch: PRODUCTION },
      },
    });
    const client = await connectTo(PREVIEW);
    await emulator.query('INSERT INTO t VALUES (2)');
    await emulator.queryBranch(PREVIEW, 'INSERT INTO t VALUES (3)');
    const { rows } = await client.query('SELECT count(*)::int FROM pg_roles');
    expect(rows).toHaveLength(1);
    expect(await numbersOn(PRODUCTION)).toEqual([1, 2]);
    expect(await numbersOn(PREVIEW)).toEqual([1, 3]);
  });

  it('sleeps until somebody connects', async () => {
    await start();
    await finished(await create('preview'));
    const stateOf = async () =>
      (await call('GET', `${PREVIEW}/endpoints/primary`)).body.status
        .current_state;
    expect(await stateOf()).toBe('IDLE');

    await connectTo(PREVIEW);

    expect(await stateOf()).toBe('ACTIVE');
  });

  it('begins at a moment of the past, by time or by place in the log', async () => {
    await start({ history: true });
    const [{ lsn }] = await emulator.query(
      'SELECT pg_current_wal_insert_lsn()::text AS lsn',
    );
    await emulator.query('INSERT INTO t VALUES (2)');
    // The next whole millisecond: the API may be told no finer moment.
    const [{ now }] = await emulator.query(
      `SELECT date_trunc('milliseconds', clock_timestamp()) + '1 ms' AS now,
              pg_sleep(0.002)`,
    );
    await emulator.query('DELETE FROM t');

    const time = (now as Date).toISOString();
    await finished(
      await create('by-time', { ...WEEK, source_branch_time: time }),
    );
    await finished(
      await create('by-lsn', { ...WEEK, source_branch_lsn: String(lsn) }),
    );

    expect(await numbersOn(`${PROJECT}/branches/by-time`)).toEqual([1, 2]);
    expect(await numbersOn(`${PROJECT}/branches/by-lsn`)).toEqual([1]);
    expect(await numbersOn(PRODUCTION)).toEqual([]);
  });

  it('has children of its own, if it does not expire', async () => {
    await start();
    await finished(await create('preview', { no_expiry: true }));
    await emulator.queryBranch(PREVIEW, 'INSERT INTO t VALUES (2)');

    await finished(await create('child', { ...WEEK, source_branch: PREVIEW }));

    expect(await numbersOn(`${PROJECT}/branches/child`)).toEqual([1, 2]);
  });

  it('expires by the clock of the platform', async () => {
    await start();
    await finished(await create('preview'));

    emulator.controlPlane.clockOffsetMs += 8 * DAY;
    token = await workspaceToken(emulator);

    const listed = await call('GET', `${PROJECT}/branches`);
    const all = await call('GET', `${PROJECT}/branches?show_deleted=true`);
    expect(listed.body.branches.map(({ name }) => name)).toEqual([PRODUCTION]);
    expect(all.body.branches).toMatchObject([
      { name: PRODUCTION },
      {
        name: PREVIEW,
        status: {
          current_state: 'DELETED',
          delete_time: expect.any(String) as string,
          purge_time: expect.any(String) as string,
        },
      },
    ]);
    expect((await call('GET', PREVIEW)).status).toBe(404);
  });

  it('comes back with its data after it was deleted', async () => {
    await start();
    await finished(await create('preview'));
    const client = await connectTo(PREVIEW);
    await client.query('CREATE SCHEMA mine');

    expect(await change('DELETE', PREVIEW)).toMatchObject({
      done: true,
      response: { '@type': 'type.googleapis.com/google.protobuf.Empty' },
    });
    await expect(client.query('SELECT 1')).rejects.toThrow();
    expect((await call('GET', PREVIEW)).status).toBe(404);
    await change('POST', `${PREVIEW}/undelete`);

    const again = await connectTo(PREVIEW);
    await expect(again.query('DROP SCHEMA mine')).resolves.toBeDefined();
  });

  it('may get no endpoint by itself', async () => {
    await start();
    emulator.controlPlane.catalog.makesPrimary = false;
    await finished(await create('preview'));
    const path = `${PREVIEW}/endpoints`;
    const none = await call('GET', path);

    const spec = { endpoint_type: 'ENDPOINT_TYPE_READ_WRITE' };
    const made = await change('POST', `${path}?endpoint_id=primary`, { spec });

    expect(none.body).toEqual({ endpoints: [] });
    expect(made).toMatchObject({ done: true });
    await connectTo(PREVIEW);
  });

  it('is not there when its operation failed', async () => {
    await start();
    emulator.controlPlane.operations.failNext('No capacity');

    const failed = await finished(await create('preview'));

    expect(failed).toMatchObject({
      done: true,
      error: { error_code: 'INTERNAL_ERROR', message: 'No capacity' },
    });
    expect((await call('GET', PREVIEW)).status).toBe(404);
  });
});

describe('a change of branches is refused', () => {
  const at = (ms: number) => new Date(Date.now() + ms).toISOString();

  it.each<[string, string, object, number, RegExp]>([
    ['without an id', '', WEEK, 400, /'branch_id' is required/],
    ['with an id of another form', 'A_b', WEEK, 400, /Invalid branch_id/],
    ['of a name that there is', 'production', WEEK, 409, /already exists/],
    ['that says nothing of its end', 'x', {}, 400, /Exactly one of/],
    [
      'that says two things of its end',
      'x',
      { ...WEEK, no_expiry: true },
      400,
      /Exactly one of/,
    ],
    ['that lives for too long', 'x', { ttl: '2678401s' }, 400, /maximum/],
    ['with a field that there is not', 'x', { ...WEEK, tll: 1 }, 400, /'tll'/],
    [
      'of a source that there is not',
      'x',
      { ...WEEK, source_branch: `${PROJECT}/branches/none` },
      404,
      /branch id not found/,
    ],
    [
      'of the future',
      'x',
      { ...WEEK, source_branch_time: at(HOUR) },
      400,
      /in the future/,
    ],
    [
      'of a time before all history',
      'x',
      { ...WEEK, source_branch_time: at(-8 * DAY) },
      400,
      /before the history/,
    ],
  ])('one %s', async (_, id, spec, status, message) => {
    await start();

    const refused = await create(id, spec);

    expect(refused.status).toBe(status);
    expect(refused.body.message).toMatch(message);
  });

  it('beyond the limit, which archived ones do not count for', async () => {
    await start();
    const { branchChanges, catalog } = emulator.controlPlane;
    branchChanges.limit = 2;
    catalog.addBranch(PREVIEW);

    const refused = await create('one-more');
    catalog.branch(PREVIEW).state = 'ARCHIVED';
    const allowed = await create('one-more');

    expect(refused).toMatchObject({
      status: 429,
      body: { error_code: 'QUOTA_EXCEEDED' },
    });
    expect(allowed.status).toBe(200);
  });

  it('by whoever may only use the project', async () => {
    await start();
    const { workspace } = emulator.controlPlane;
    workspace.setPermission(emulator.servicePrincipal.clientId, 'CAN_USE');

    expect(await create('preview')).toMatchObject({
      status: 403,
      body: { error_code: 'PERMISSION_DENIED' },
    });
    expect((await call('GET', PRODUCTION)).status).toBe(200);
  });

  it('when others depend on it', async () => {
    await start();
    const { catalog } = emulator.controlPlane;
    const child = { source: PRODUCTION };
    catalog.addBranch(PREVIEW, { ...child, isProtected: true });

    const root = await call('DELETE', PRODUCTION);
    expect(root).toMatchObject({ status: 400 });
    expect(JSON.stringify(root.body.details)).toContain('MANAGED_BY_PARENT');
    expect((await call('DELETE', PREVIEW)).body.message).toMatch(/protected/);
    const mask = `${PREVIEW}?update_mask=spec.is_protected`;
    await change('PATCH', mask, { spec: { is_protected: false } });
    catalog.addBranch(`${PROJECT}/branches/child`, { source: PREVIEW });
    expect((await call('DELETE', PREVIEW)).body.message).toMatch(/children/);
    const expiry = `${PREVIEW}?update_mask=spec.expiration`;
    expect((await call('PATCH', expiry, { spec: WEEK })).body.message).toMatch(
      /children/,
    );
  });

  it('of a source that expires, or that is being made', async () => {
    await start();
    emulator.controlPlane.operations.latencyMs = 300;
    const preview = await create('preview');
    const spec = { ...WEEK, source_branch: PREVIEW };

    expect((await create('child', spec)).body.message).toMatch(/not ready/);
    await finished(preview);
    expect((await create('child', spec)).body.message).toMatch(/expires/);
  });

  it('without a word on what to change, or for an unknown operation', async () => {
    await start();

    expect((await call('PATCH', PRODUCTION, {})).body.message).toMatch(
      /update_mask/,
    );
    expect((await call('GET', `${PREVIEW}/operations/x`)).status).toBe(404);
  });
});
