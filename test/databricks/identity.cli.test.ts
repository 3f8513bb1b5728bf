import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '@backstage/types';
import { decodeJwt } from 'jose';
import type { Emulator } from '../../emulator';
import { type Env, temporaryFiles } from '../support/appConfig';
import { startTestEmulator } from '../support/emulator';
import { catchFailure, createWorkspaceBy } from '../support/workspaces';

const HOUR = 3_600_000;
const USER = 'jane@example.com';
const CANARY = 'dose-canary';

const files = temporaryFiles();
let emulator: Emulator;

beforeAll(async () => {
  emulator = await startTestEmulator();
  await emulator.addUser({ email: USER, role: false });
});
afterEach(() => emulator.controlPlane.recover());
afterAll(() => emulator.stop());

/** A stand-in for the Databricks CLI, which runs this code. */
function cli(code: string) {
  const asked = join(files.folder(), 'asked');
  const command = files.file(
    'databricks',
    `#!${process.execPath}
     const args = JSON.stringify(process.argv.slice(2));
     require('node:fs').appendFileSync(${JSON.stringify(asked)}, args + '\\n');
     ${code}`,
    0o700,
  );
  /** The arguments of each of its runs. */
  const runs = () =>
    existsSync(asked) ? readFileSync(asked, 'utf8').trim().split('\n') : [];
  return { command, runs };
}

const telling = (answer: object) =>
  cli(`console.error('${CANARY}'); console.log('${JSON.stringify(answer)}')`);

const answer = (expiresInMs = HOUR) => ({
  access_token: emulator.controlPlane.issueWorkspaceToken(USER),
  token_type: 'Bearer',
  expiry: new Date(Date.now() + expiresInMs)
    .toISOString()
    .replace('Z', '123456Z'),
});

const workspaceWith = (
  command: string,
  block: JsonObject = {},
  env: Env = {},
) =>
  createWorkspaceBy(
    emulator,
    { authType: 'databricks-cli', ...block },
    { DATABRICKS_CLI_PATH: command, ...env },
  );

/** What a mint with such a CLI fails with. */
const failureWith = (command: string) =>
  catchFailure(workspaceWith(command).mintCredential(), [CANARY]);

describe('the Databricks CLI', () => {
  it('is asked for a token of the user who is logged in to the host', async () => {
    const { command, runs } = telling(answer());
    const workspace = workspaceWith(command);

    const { token } = await workspace.mintCredential();
    await workspace.findUser();

    expect(decodeJwt(token).sub).toBe(USER);
    expect(runs()).toEqual([
      JSON.stringify(['auth', 'token', '--host', emulator.controlPlane.url]),
    ]);
  });

  it('is asked by the profile that names it', async () => {
    const { command, runs } = telling(answer());
    const env = {
      DATABRICKS_CONFIG_FILE: files.file(
        'cfg',
        `[it's; mine]\nhost=${emulator.controlPlane.url}\nauth_type=databricks-cli`,
      ),
    };
    const block = { profile: "it's; mine", authType: undefined };

    await workspaceWith(command, block, env).mintCredential();

    expect(runs()).toEqual([
      JSON.stringify(['auth', 'token', '--profile', "it's; mine"]),
    ]);
  });

  it('is asked again when its token has expired', async () => {
    const { command, runs } = telling(answer(1));
    const workspace = workspaceWith(command);

    await catchFailure(workspace.mintCredential(), [CANARY]);
    await catchFailure(workspace.mintCredential(), [CANARY]);

    expect(runs()).toHaveLength(2);
  });

  it('leads to the login when its token is refused', async () => {
    const { command } = telling({ ...answer(), access_token: CANARY });

    const error = await failureWith(command);

    expect(error).toMatchObject({
      code: 'access-token-refused',
      permanent: true,
    });
    expect(error.message).toContain(
      `databricks auth login --host ${emulator.controlPlane.url}`,
    );
  });

  it('leads to the login when nobody is logged in', async () => {
    const { command, runs } = cli(
      `console.error('cannot get access token: ${CANARY}'); process.exit(1)`,
    );

    const error = await failureWith(command);

    expect(error).toMatchObject({ code: 'client-refused', permanent: true });
    expect(error.message).toContain(
      `databricks auth login --host ${emulator.controlPlane.url}`,
    );
    expect(runs()).toHaveLength(1);
  });

  it.each([
    ["Error: No such command 'auth'.", 2],
    ['Error: unknown command "token" for "databricks auth"', 1],
  ])('is to be replaced when it says %s', async (text, exitCode) => {
    const { command } = cli(
      `console.error(${JSON.stringify(text)}); process.exit(${exitCode})`,
    );

    const error = await failureWith(command);

    expect(error).toMatchObject({ code: 'client-refused', permanent: true });
    expect(error.message).toContain('too old');
  });

  it.each<[string, string, RegExp]>([
    [
      'two profiles match the host',
      'Error: multiple profiles matched: a, b',
      /: Error: multiple profiles matched: a, b\. Name one .*workspace\.profile$/,
    ],
    [
      'the profile is of a service principal',
      'Error: profile "p" uses M2M authentication',
      /uses M2M authentication\. .*client_id and client_secret.*oauth-m2m$/,
    ],
    [
      'anything else, in colour and on two lines',
      '\u001b[31mError:\u001b[0m\nthe moon \u0007is full',
      /: Error: the moon is full\. Log in: databricks auth login --host/,
    ],
    [
      'a token among its words',
      'Error: refresh of eyJhbGciOiJub25lIn0.e30.x and dapi0123456789 failed',
      /refresh of \*\*\* and \*\*\* failed\. Log in/,
    ],
  ])('passes on what it says of %s', async (_, said, message) => {
    const { command } = cli(
      `console.error(${JSON.stringify(said)}); process.exit(1)`,
    );

    const error = await failureWith(command);

    expect(error).toMatchObject({ code: 'client-refused', permanent: true });
    expect(error.message).toMatch(message);
  });

  it('may say something before its answer', async () => {
    const { command } = cli(
      `console.log('A new version is available'); console.log('${JSON.stringify(answer())}')`,
    );

    await expect(
      workspaceWith(command).mintCredential(),
    ).resolves.toBeDefined();
  });

  it('is not led elsewhere by what this process inherits', async () => {
    const { command } = cli(
      `const led = Object.keys(process.env).filter(name => /^DATABRICKS_/.test(name));
       console.error(led.join(' ')); process.exit(1)`,
    );
    const env = {
      DATABRICKS_CONFIG_PROFILE: 'other',
      DATABRICKS_HOST: 'https://other.example.com',
      DATABRICKS_CONFIG_FILE: '/nowhere',
    };
    const before = { ...process.env };
    Object.assign(process.env, env);

    const error = await failureWith(command).finally(() => {
      process.env = before;
    });

    expect(error.message).toContain(
      '(exit code 1): DATABRICKS_CONFIG_FILE. Log in',
    );
  });

  it('is to be installed when it is missing', async () => {
    const error = await failureWith('/nowhere/databricks');

    expect(error).toMatchObject({ code: 'client-refused', permanent: true });
    expect(error.message).toContain('/nowhere/databricks');
    expect(error.message).toContain('ENOENT');
    expect(error.message).toContain('DATABRICKS_CLI_PATH');
  });

  it.each<[string, string, string?]>([
    ['plain text', `console.log('${CANARY}')`],
    ['nothing', ''],
    ['no token', `console.log('{"expiry":"2099-01-01T00:00:00Z"}')`],
    ['no end', `console.log('{"access_token":"${CANARY}"}')`],
    [
      'a token of old',
      `console.log('{"access_token":"${CANARY}","expiry":"0001-01-01T00:00:00Z"}')`,
      'workspace-reply-invalid',
    ],
  ])(
    'is not quoted when it tells %s',
    async (_, code, means = 'client-refused') => {
      const error = await failureWith(cli(code).command);

      expect(error.code).toBe(means);
      expect(error.message).toContain('The Databricks CLI');
    },
  );

  it('does not wait for somebody to answer a question', async () => {
    const { command } = cli(
      `process.stdin.resume().on('end', () => process.exit(1))`,
    );

    const error = await failureWith(command);

    expect(error.code).toBe('client-refused');
  });

  it('is ended at shutdown, when it never ends by itself', async () => {
    const { command, runs } = cli(
      `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);
       const { renameSync, writeFileSync } = require('node:fs');
       writeFileSync(__filename + '.new', '' + process.pid);
       renameSync(__filename + '.new', __filename + '.pid');`,
    );
    const workspace = workspaceWith(command);
    const failure = catchFailure(workspace.mintCredential(), []);
    await eventually(() => existsSync(`${command}.pid`));

    workspace.stop();

    expect((await failure).code).toBe('stopped');
    const pid = Number(readFileSync(`${command}.pid`, 'utf8'));
    await eventually(() => !isAlive(pid));
    expect(runs()).toHaveLength(1);
  });
});

/** Another process tells nobody when it has come so far. */
async function eventually(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition() && tries < 1_000; tries++) {
    await new Promise(resolve => setTimeout(resolve, 10));
  }
  expect(condition()).toBe(true);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
