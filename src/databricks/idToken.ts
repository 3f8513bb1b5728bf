import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { LakebaseError } from '../errors';
import { oneAttempt } from './oneAttempt';
import type { TokenRequest } from './tokenRequest';
import { WorkspaceSettings } from './identity';
import { readReply } from './workspaceReply';
import { callWorkspace } from './workspaceRequest';

type SettingsOf<Method> = Extract<WorkspaceSettings, { method: Method }>;

/** Far more than any token. */
const MAX_BYTES = 1024 * 1024;

const githubReply = z.object({ value: z.string().min(1) });

/** Read at every exchange, for whoever writes the file replaces it. */
export async function readIdTokenFile(
  request: TokenRequest,
  { tokenFile, identityKeys }: SettingsOf<'file-oidc'>,
): Promise<string> {
  const problem = (what: string) =>
    new LakebaseError('client-refused', {
      problem: `${identityKeys} names ${tokenFile}, which ${what}`,
      remedy: 'It must hold an id token of a trusted identity provider',
    });
  const text = await oneAttempt(
    () => readOnce(tokenFile),
    (error, cutShort) => {
      if (cutShort) return unreadable(tokenFile, cutShort);
      const { code = (error as Error).message } = error as { code?: string };
      return problem(`cannot be read (${code})`);
    },
    request,
  );
  if (!text.trim()) throw problem('is empty');
  return text.trim();
}

const unreadable = (file: string, cutShort: string) =>
  new LakebaseError('workspace-unreachable', {
    problem: `${file} could not be read: ${cutShort}`,
    remedy: 'Check the volume that it lies on',
  });

/**
 * Reads that hang. Each takes one of the few threads of Node, which names are
 * resolved by as well, so that a file that hangs is never asked twice.
 */
const pending = new Map<string, Promise<string>>();

function readOnce(file: string): Promise<string> {
  const read =
    pending.get(file) ?? readRegular(file).finally(() => pending.delete(file));
  pending.set(file, read);
  return read;
}

/** A pipe would wait for somebody who writes to it. */
async function readRegular(file: string): Promise<string> {
  const { size } = await stat(file).then(found => {
    if (!found.isFile()) throw new Error('not a file');
    return found;
  });
  if (size > MAX_BYTES) throw new Error('too large for a token');
  return readFile(file, 'utf8');
}

/** Asks GitHub Actions for a token of the job that this process runs in. */
export async function requestGithubToken(
  { subject, clock, signal }: TokenRequest,
  { requestUrl, requestToken, audience }: SettingsOf<'github-oidc'>,
): Promise<string> {
  const url = new URL(requestUrl);
  url.searchParams.set('audience', audience);
  const action = 'issue an id token';
  const { reply } = await callWorkspace({
    host: url.origin,
    path: url.pathname + url.search,
    headers: { authorization: `Bearer ${requestToken}` },
    subject: {
      ...subject,
      party: 'GitHub',
      action,
      surface: 'exchange',
      workspaceHost: url.origin,
      hostKey: 'ACTIONS_ID_TOKEN_REQUEST_URL',
      identityRemedy:
        "The job needs 'permissions: id-token: write', and must not have ended",
    },
    clock,
    signal,
  });
  return readReply(githubReply, reply, 'GitHub', action).value;
}
