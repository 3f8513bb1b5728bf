import { readFile } from 'node:fs/promises';
import { isError } from 'lodash';
import { z } from 'zod';
import { LakebaseError } from '../errors';
import type { TokenRequest } from './tokenRequest';
import { WorkspaceSettings } from './identity';
import { readReply } from './workspaceReply';
import { callWorkspace } from './workspaceRequest';

type SettingsOf<Method> = Extract<WorkspaceSettings, { method: Method }>;

const githubReply = z.object({ value: z.string().min(1) });

/** Read at every exchange, for whoever writes the file replaces it. */
export async function readIdTokenFile({
  tokenFile,
  identityKeys,
}: SettingsOf<'file-oidc'>): Promise<string> {
  const problem = (what: string) =>
    new LakebaseError('client-refused', {
      problem: `${identityKeys} names ${tokenFile}, which ${what}`,
      remedy: 'It must hold an id token of a trusted identity provider',
    });
  let text: string;
  try {
    text = await readFile(tokenFile, 'utf8');
  } catch (error) {
    const code = isError(error) ? (error as NodeJS.ErrnoException).code : '';
    throw problem(`cannot be read (${code})`);
  }
  if (!text.trim()) throw problem('is empty');
  return text.trim();
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
