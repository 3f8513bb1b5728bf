import { decodeJwt } from 'jose';
import type { Emulator } from '../../emulator';
import { startTestEmulator } from '../support/emulator';
import {
  closeClients,
  currentUser,
  get as getAs,
  logIn,
  requestCredential,
  workspaceToken,
} from './clients';

const PROJECT = 'projects/backstage';
const PRODUCTION = `${PROJECT}/branches/production`;
const STAGING = `${PROJECT}/branches/staging`;

describe('the resources of the emulated workspace', () => {
  let emulator: Emulator;
  let token: string;

  beforeEach(async () => {
    emulator = await startTestEmulator();
    token = await workspaceToken(emulator);
  });
  afterEach(async () => {
    await closeClients(emulator);
    await emulator.stop();
  });

  const get = (name: string) =>
    getAs(emulator, `/api/2.0/postgres/${name}`, token);

  const names = (entries: { name: string }[]) =>
    entries.map(({ name }) => name);

  it('are one project, one branch and one endpoint to begin with', async () => {
    const projects = await get('projects');
    const branches = await get(`${PROJECT}/branches`);
    const endpoints = await get(`${PRODUCTION}/endpoints`);

    expect(names(projects.body.projects)).toEqual([PROJECT]);
    expect(names(branches.body.branches)).toEqual([PRODUCTION]);
    expect(names(endpoints.body.endpoints)).toEqual([emulator.endpoint]);
  });

  it('are listed and shown when they are added', async () => {
    const { catalog } = emulator.controlPlane;
    const branch = catalog.addBranch(STAGING, { uid: 'br-cold-river-1' });
    const endpoint = catalog.addEndpoint(`${STAGING}/endpoints/readers`, {
      type: 'READ_ONLY',
      state: 'INIT',
      host: null,
    });

    const branches = await get(`${PROJECT}/branches`);
    const endpoints = await get(`${STAGING}/endpoints`);
    const readers = await get(`${STAGING}/endpoints/readers`);

    expect(branch.uid).toBe('br-cold-river-1');
    expect(branches.body.branches).toMatchObject([
      { name: PRODUCTION, status: { default: true } },
      {
        name: STAGING,
        uid: 'br-cold-river-1',
        parent: PROJECT,
        status: { branch_id: 'staging', default: false },
      },
    ]);
    expect(endpoints.body.endpoints).toMatchObject([
      {
        name: `${STAGING}/endpoints/primary`,
        status: { endpoint_type: 'ENDPOINT_TYPE_READ_WRITE' },
      },
      {
        name: `${STAGING}/endpoints/readers`,
        uid: endpoint.uid,
        parent: STAGING,
        status: {
          endpoint_id: 'readers',
          endpoint_type: 'ENDPOINT_TYPE_READ_ONLY',
          current_state: 'INIT',
          disabled: false,
        },
      },
    ]);
    expect(readers.body).toEqual(endpoints.body.endpoints[1]);
    expect(readers.body.status).not.toHaveProperty('hosts');
  });

  it('may be further projects, each with its own branch and endpoint', async () => {
    const { uid } = emulator.controlPlane.catalog.addProject('projects/other');

    const projects = await get('projects');
    const project = await get('projects/other');
    const endpoints = await get(
      `${project.body.status.default_branch}/endpoints`,
    );

    expect(names(projects.body.projects)).toEqual([PROJECT, 'projects/other']);
    expect(project.body.uid).toBe(uid);
    expect(names(endpoints.body.endpoints)).toEqual([
      'projects/other/branches/production/endpoints/primary',
    ]);
  });

  it('tell which branch is the default one now', async () => {
    const { catalog } = emulator.controlPlane;
    catalog.addBranch(STAGING);
    catalog.setDefaultBranch(STAGING);

    const project = await get(PROJECT);
    const branches = await get(`${PROJECT}/branches`);

    expect(project.body.status.default_branch).toBe(STAGING);
    expect(branches.body.branches).toMatchObject([
      { name: PRODUCTION, status: { default: false } },
      { name: STAGING, status: { default: true } },
    ]);
  });

  it('have another uid when a branch is deleted and made again', async () => {
    const { catalog } = emulator.controlPlane;
    const before = await get(PRODUCTION);
    catalog.removeBranch(PRODUCTION);
    const gone = await get(PRODUCTION);
    const endpointGone = await get(emulator.endpoint);
    catalog.addBranch(PRODUCTION);

    const after = await get(PRODUCTION);
    const endpoint = await get(emulator.endpoint);

    for (const { status, body } of [gone, endpointGone]) {
      expect(status).toBe(404);
      expect(body.message).toContain('branch id not found');
    }
    expect(after.body.uid).not.toBe(before.body.uid);
    expect(endpoint.status).toBe(200);
  });

  it('may lack an endpoint, from the start or later', async () => {
    const { catalog } = emulator.controlPlane;
    catalog.addBranch(STAGING, { primary: false });
    catalog.removeEndpoint(emulator.endpoint);

    const staging = await get(`${STAGING}/endpoints`);
    const production = await get(`${PRODUCTION}/endpoints`);
    const endpoint = await get(emulator.endpoint);

    expect(staging.body).toEqual({ endpoints: [] });
    expect(production.body).toEqual({ endpoints: [] });
    expect(endpoint.body.message).toContain('endpoint id not found');
  });

  it('do not answer to their uids', async () => {
    const { uid } = (await get(PRODUCTION)).body;

    for (const path of ['', '/endpoints', '/endpoints/primary']) {
      const { status, body } = await get(`${PROJECT}/branches/${uid}${path}`);
      expect(status).toBe(404);
      expect(body.message).toContain('branch id not found');
    }
  });

  it('come in pages of the size asked for, or smaller ones', async () => {
    const { catalog } = emulator.controlPlane;
    const added = ['a', 'b', 'c', 'd'].map(id => `${PROJECT}/branches/${id}`);
    for (const name of added) catalog.addBranch(name);
    const list = `${PROJECT}/branches`;

    const first = await get(`${list}?page_size=3`);
    catalog.pageSize = 1;
    const next = first.body.next_page_token!;
    const second = await get(`${list}?page_size=3&page_token=${next}`);
    catalog.pageSize = 100;
    const third = await get(
      `${list}?page_token=${second.body.next_page_token}`,
    );

    expect(
      [first, second, third].map(({ body }) => names(body.branches)),
    ).toEqual([[PRODUCTION, added[0], added[1]], [added[2]], [added[3]]]);
    expect(third.body).not.toHaveProperty('next_page_token');
  });

  it.each(['projects', `${PROJECT}/branches`, `${PRODUCTION}/endpoints`])(
    'are found in %s by those only who turn its pages',
    async list => {
      const { catalog } = emulator.controlPlane;
      catalog.addProject('projects/other');
      catalog.addBranch(STAGING);
      catalog.addEndpoint(`${PRODUCTION}/endpoints/readers`);
      catalog.pageSize = 1;

      const { body } = await get(list);
      const rest = await get(`${list}?page_token=${body.next_page_token}`);

      expect(body.next_page_token).toBeTruthy();
      expect(rest.body).not.toHaveProperty('next_page_token');
    },
  );

  it.each(['page_token=2', 'page_size=-1', 'page_size=many'])(
    'are not listed for %s',
    async query => {
      const { status, body } = await get(`${PROJECT}/branches?${query}`);

      expect(status).toBe(400);
      expect(body.error_code).toBe('INVALID_PARAMETER_VALUE');
    },
  );

  it('are behind a credential each, once they exist', async () => {
    const { catalog } = emulator.controlPlane;
    const endpoint = `${STAGING}/endpoints/primary`;
    const before = await requestCredential(emulator, token, { endpoint });
    catalog.addBranch(STAGING);

    const { status, body } = await requestCredential(emulator, token, {
      endpoint,
    });

    expect(before.status).toBe(404);
    expect(status).toBe(200);
    expect(decodeJwt(body.token).sub).toBe(emulator.servicePrincipal.clientId);
  });

  it('may move to another host, which leads to the same gateway', async () => {
    const { controlPlane, gateway } = emulator;
    controlPlane.catalog.changeEndpoint(emulator.endpoint, {
      host: gateway.otherHost,
    });

    const { host } = (await get(emulator.endpoint)).body.status.hosts;
    const client = await logIn(emulator, { host });

    expect(host).not.toBe(gateway.host);
    expect(await currentUser(client)).toBe(emulator.servicePrincipal.clientId);
    expect(gateway.serverNames).toEqual([host]);
  });

  it('take no login at a host whose endpoint is disabled', async () => {
    const { controlPlane, endpoint, gateway } = emulator;
    const { catalog } = controlPlane;
    catalog.addEndpoint(`${PRODUCTION}/endpoints/readers`, {
      host: gateway.otherHost,
    });
    catalog.changeEndpoint(endpoint, { disabled: true });

    const { status } = (await get(endpoint)).body;
    const refused = logIn(emulator, { host: gateway.host });
    await expect(refused).rejects.toMatchObject({
      code: '28000',
      message: 'External authorization failed.',
    });
    await logIn(emulator, { host: gateway.otherHost });
    catalog.changeEndpoint(endpoint, { disabled: false });
    await logIn(emulator, { host: gateway.host });

    expect(status).toMatchObject({ disabled: true, current_state: 'IDLE' });
    expect(gateway.logins).toHaveLength(2);
  });

  it('cannot be made twice, or without a parent, or under a wrong name', () => {
    const { catalog } = emulator.controlPlane;

    expect(() => catalog.addBranch(PRODUCTION)).toThrow('already exists');
    expect(() => catalog.addBranch('projects/no/branches/b')).toThrow(
      'project id not found',
    );
    expect(() => catalog.addEndpoint(`${STAGING}/endpoints/e`)).toThrow(
      'branch id not found',
    );
    expect(() => catalog.setDefaultBranch(STAGING)).toThrow(
      'branch id not found',
    );
    expect(() => catalog.addBranch('staging')).toThrow(
      "'staging' is not the name of a branch",
    );
  });
});
