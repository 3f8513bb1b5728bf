import type { JsonObject } from '@backstage/types';
import type { Emulator } from '../../emulator';
import {
  catchRefusal,
  ENV,
  type Env,
  readBlock,
  temporaryFiles,
} from '../support/appConfig';
import { lakebaseTests } from '../support/lakebase';
import { createWorkspaceBy } from '../support/workspaces';

const start = lakebaseTests();
const files = temporaryFiles();

const HOST = 'https://one.example.com';
const client = { clientId: 'id', clientSecret: 'secret' };

const read = (workspace: JsonObject, env: Env = {}) =>
  readBlock(
    { workspace },
    { LAKEBASE_ENDPOINT: ENV.LAKEBASE_ENDPOINT, ...env },
  ).readWorkspace().workspaceId;

describe('the id of a workspace is found', () => {
  it.each<[string, JsonObject, Env, string | undefined]>([
    ['in its URL', { host: `${HOST}/?o=12` }, {}, '12'],
    ['in its URL, as ?w=', { host: `${HOST}?w=12` }, {}, '12'],
    [
      'in the URL of the environment',
      {},
      { DATABRICKS_HOST: `${HOST}/?o=12#x` },
      '12',
    ],
    ['in a variable', { host: HOST }, { DATABRICKS_WORKSPACE_ID: '12' }, '12'],
    [
      'in the URL before a variable',
      { host: `${HOST}/?o=12` },
      { DATABRICKS_WORKSPACE_ID: '13' },
      '12',
    ],
    [
      'in a variable beside the same host',
      { host: HOST },
      { DATABRICKS_HOST: HOST, DATABRICKS_WORKSPACE_ID: '12' },
      '12',
    ],
    [
      'nowhere, where the variable is about another host',
      { host: HOST },
      {
        DATABRICKS_HOST: 'https://other.example.com',
        DATABRICKS_WORKSPACE_ID: '12',
      },
      undefined,
    ],
    [
      'nowhere, where there is said to be none',
      { host: HOST },
      { DATABRICKS_WORKSPACE_ID: 'none' },
      undefined,
    ],
    ['nowhere', { host: HOST }, {}, undefined],
  ])('%s', (_, block, env, id) => {
    expect(read({ ...block, ...client }, env)).toBe(id);
  });

  it('in the profile', () => {
    const profile = `[p]\nhost=${HOST}\ntoken=dapi\nworkspace_id=12`;
    const DATABRICKS_CONFIG_FILE = files.file('databrickscfg', profile);

    expect(read({ profile: 'p' }, { DATABRICKS_CONFIG_FILE })).toBe('12');
  });
});

/** A workspace of the emulator at this URL. */
function workspaceOn(emulator: Emulator, query: string, env?: Env) {
  const host = `${emulator.controlPlane.url}/${query}`;
  const { servicePrincipal } = emulator;
  return createWorkspaceBy(emulator, { host, ...servicePrincipal }, env);
}

describe('a host that serves several workspaces', () => {
  it('is told which one is meant', async () => {
    const emulator = await start.emulator();
    const { controlPlane } = emulator;
    controlPlane.unified = true;
    const workspace = workspaceOn(emulator, `?o=${controlPlane.workspaceId}`);

    await workspace.mintCredential();
    await workspace.findUser();

    expect(workspace.id).toBe(controlPlane.workspaceId);
  });

  it('leads to the id, where none is configured', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.unified = true;
    const workspace = workspaceOn(emulator, '');

    await expect(workspace.mintCredential()).rejects.toMatchObject({
      code: 'access-token-refused',
      message: expect.stringMatching(
        /serves several workspaces.*workspace\.host.*\?o=.*DATABRICKS_WORKSPACE_ID/,
      ) as string,
    });
  });

  it('is not used as another one than was meant', async () => {
    const emulator = await start.emulator();
    const { controlPlane } = emulator;
    const workspace = workspaceOn(emulator, '?o=42');

    await expect(workspace.mintCredential()).rejects.toMatchObject({
      code: 'workspace-mismatch',
      permanent: true,
      message: expect.stringMatching(
        `Workspace ${controlPlane.workspaceId} answered .* 42 is configured`,
      ) as string,
    });
  });
});

it('a workspace that does not say which one it is passes', async () => {
  const emulator = await start.emulator();
  emulator.controlPlane.workspaceId = '';
  const workspace = workspaceOn(emulator, '?o=42');

  await expect(workspace.mintCredential()).resolves.toBeDefined();
});

it('the start line names the workspace that answered', async () => {
  const emulator = await start.emulator();
  const { controlPlane } = emulator;
  const lakebase = start.lakebase(emulator);
  await lakebase.getClient('catalog');

  await lakebase.announce();

  await lakebase.logged(
    new RegExp(`workspace ${controlPlane.url}, id ${controlPlane.workspaceId}`),
  );
});

it('an id that is no reason to send a secret elsewhere', () => {
  const env = {
    DATABRICKS_HOST: 'https://other.example.com/?o=12',
    DATABRICKS_TOKEN: 'dapi',
  };

  expect(catchRefusal(() => read({ host: HOST }, env))).toContain(
    'is for another workspace',
  );
});
