import { execFile } from 'node:child_process';
import { omitBy } from 'lodash';
import { z } from 'zod';
import { LakebaseError } from '../errors';
import { Credential } from '../tokenRefresher';
import type { TokenRequest } from './tokenRequest';
import { WorkspaceSettings } from './identity';
import { loginCommand } from './identityTexts';
import { CutShort, oneAttempt } from './oneAttempt';
import { quoteOutput } from './quoteOutput';

type CliSettings = Extract<WorkspaceSettings, { method: 'databricks-cli' }>;

const cliReply = z.object({
  access_token: z.string().min(1),
  expiry: z.iso.datetime({ offset: true }),
});

const OLD = /no such command|unknown (command|flag|shorthand)/i;

/** What the CLI says of a profile for a service principal, or of several. */
const NO_USER = /m2m|client[ _]credentials|client_secret|service principal/i;
const SEVERAL = /profiles? (match|found)|matching profiles|multiple profiles/i;

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
  const { data } = cliReply.safeParse(parse(output));
  const lifeMs = data ? Date.parse(data.expiry) - request.clock.wall() : 0;
  if (data && lifeMs > 0) return { token: data.access_token, lifeMs };
  // One that has expired may be replaced by the next call; other words stay.
  throw new LakebaseError(data ? 'workspace-reply-invalid' : 'client-refused', {
    problem:
      `The Databricks CLI (${command} auth token) gave ` +
      (data ? 'a token that has expired' : 'no token as JSON'),
    remedy: 'See what it prints, and log in if need be',
    statements: [loginCommand(settings)],
  });
}

/**
 * What it inherits must not lead it elsewhere than the settings do: variables of
 * Databricks beat its arguments in part, and are about another source.
 */
const KEPT = ['DATABRICKS_CONFIG_FILE'];

const childEnvironment = () =>
  omitBy(
    process.env,
    (_, name) => /^DATABRICKS_/i.test(name) && !KEPT.includes(name),
  );

function run(
  command: string,
  args: string[],
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { signal, windowsHide: true, env: childEnvironment() },
      (error, stdout, stderr) =>
        error
          ? reject(Object.assign(error as Error, { stderr }))
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
  const { command, host } = settings;
  if (cutShort) {
    return new LakebaseError('workspace-unreachable', {
      problem: `The Databricks CLI (${command}) gave no token: ${cutShort}`,
    });
  }
  const { code, stderr = '' } = error as {
    code?: string | number;
    stderr?: string;
  };
  if (typeof code === 'string') {
    return new LakebaseError('client-refused', {
      problem: `The Databricks CLI could not be run as '${command}' (${code})`,
      remedy: 'Install it, or name its path in DATABRICKS_CLI_PATH',
    });
  }
  if (OLD.test(stderr)) {
    return new LakebaseError('client-refused', {
      problem: `The Databricks CLI (${command}) does not know 'auth token': it is too old`,
      remedy:
        'Install version 0.205 or newer, or name the path of one in ' +
        'DATABRICKS_CLI_PATH',
    });
  }
  const said = quoteOutput(stderr);
  return new LakebaseError('client-refused', {
    problem:
      `The Databricks CLI (${command}) has no token for ${host} ` +
      (said ? `(exit code ${code}): ${said}` : `(exit code ${code})`),
    ...suggest(stderr, settings),
  });
}

function suggest(stderr: string, settings: CliSettings) {
  if (SEVERAL.test(stderr)) {
    return { remedy: 'Name one of these profiles in workspace.profile' };
  }
  if (NO_USER.test(stderr)) {
    return {
      remedy:
        'The CLI gives tokens of users only: let this module log in as the ' +
        "service principal, with the profile's client_id and client_secret " +
        'and authType: oauth-m2m',
    };
  }
  return { remedy: 'Log in', statements: [loginCommand(settings)] };
}

/** Notices, such as one of a newer version, may come before it. */
function parse(output: string): unknown {
  try {
    return JSON.parse(output.slice(output.indexOf('{')));
  } catch {
    return undefined;
  }
}
