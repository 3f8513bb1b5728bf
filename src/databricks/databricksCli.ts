import { execFile } from 'node:child_process';
import { isError } from 'lodash';
import { z } from 'zod';
import { LakebaseError } from '../errors';
import { Credential } from '../tokenRefresher';
import type { TokenRequest } from './tokenRequest';
import { WorkspaceSettings } from './identity';
import { loginCommand } from './identityTexts';
import { CutShort, oneAttempt } from './oneAttempt';
import { invalidReply, readReply } from './workspaceReply';

type CliSettings = Extract<WorkspaceSettings, { method: 'databricks-cli' }>;

const cliReply = z.object({
  access_token: z.string().min(1),
  expiry: z.iso.datetime({ offset: true }),
});

const OLD = /no such command|unknown (command|flag|shorthand)/i;

/** A token of the user who is logged in to the Databricks CLI. */
export async function readTokenOfCli(
  request: TokenRequest,
  settings: CliSettings,
): Promise<Credential> {
  const { command, profile, host } = settings;
  const whose = profile ? ['--profile', profile] : ['--host', host];
  const output = await oneAttempt(
    attempt => run(command, ['auth', 'token', ...whose], attempt),
    (error, cutShort) => explainFailure(error, cutShort, settings),
    request,
  );
  const action = `give a token (${command} auth token)`;
  const { access_token, expiry } = readReply(
    cliReply,
    parse(output),
    'The Databricks CLI',
    action,
  );
  const lifeMs = Date.parse(expiry) - request.clock.wall();
  if (!(lifeMs > 0)) throw invalidReply('expiry', 'The Databricks CLI', action);
  return { token: access_token, lifeMs };
}

function run(
  command: string,
  args: string[],
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { signal, windowsHide: true },
      (error, stdout, stderr) =>
        error
          ? reject(Object.assign(error as Error, { old: OLD.test(stderr) }))
          : resolve(stdout),
    );
    // At first it is only asked to end, which it may not heed.
    signal.addEventListener('abort', () => child.kill('SIGKILL'));
    // It may ask for something, and must not wait for an answer.
    child.stdin?.end();
  });
}

/** No cause: it holds what the CLI wrote, which may be a token. */
function explainFailure(
  error: unknown,
  cutShort: CutShort,
  settings: CliSettings,
): LakebaseError {
  const { code, old } = (isError(error) ? error : {}) as {
    code?: string | number;
    old?: boolean;
  };
  const { command } = settings;
  if (cutShort) {
    return new LakebaseError('workspace-unreachable', {
      problem: `The Databricks CLI (${command}) gave no token: ${cutShort}`,
    });
  }
  if (typeof code === 'string') {
    return new LakebaseError('client-refused', {
      problem: `The Databricks CLI could not be run as '${command}' (${code})`,
      remedy: 'Install it, or name its path in DATABRICKS_CLI_PATH',
    });
  }
  if (old) {
    return new LakebaseError('client-refused', {
      problem: `The Databricks CLI (${command}) does not know 'auth token': it is too old`,
      remedy:
        'Install version 0.205 or newer, or name the path of one in ' +
        'DATABRICKS_CLI_PATH',
    });
  }
  return new LakebaseError('client-refused', {
    problem:
      `The Databricks CLI (${command}) has no token for ${settings.host} ` +
      `(exit code ${code})`,
    remedy: 'Log in',
    statements: [loginCommand(settings)],
  });
}

function parse(output: string): unknown {
  try {
    return JSON.parse(output);
  } catch {
    return undefined;
  }
}
