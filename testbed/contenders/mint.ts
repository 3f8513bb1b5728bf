import type { Target } from './contender';

export interface Minted {
  token: string;
  expiresAt: number;
}

/**
 * Mints as simply as a user of a connection function would: no retry, and the
 * workspace's token is kept, as the identity libraries of the clouds do.
 */
export function simpleMint(target: Target): () => Promise<Minted> {
  let workspaceToken: Promise<string> | undefined;
  return async () => {
    workspaceToken ??= signIn(target).catch(error => {
      workspaceToken = undefined;
      throw error;
    });
    const credential = await post<{ token: string; expire_time: string }>(
      `${target.workspaceHost}/api/2.0/postgres/credentials`,
      {
        'Content-Type': 'application/json',
        Authorization: `Bearer ${await workspaceToken}`,
      },
      JSON.stringify({ endpoint: target.endpoint }),
    );
    return {
      token: credential.token,
      expiresAt: Date.parse(credential.expire_time),
    };
  };
}

async function signIn(target: Target): Promise<string> {
  const secret = `${target.clientId}:${target.clientSecret}`;
  const { access_token } = await post<{ access_token: string }>(
    `${target.workspaceHost}/oidc/v1/token`,
    { Authorization: `Basic ${Buffer.from(secret).toString('base64')}` },
    new URLSearchParams({
      grant_type: 'client_credentials',
      scope: 'all-apis',
    }),
  );
  return access_token;
}

async function post<T>(
  url: string,
  headers: Record<string, string>,
  body: string | URLSearchParams,
): Promise<T> {
  const response = await fetch(url, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return (await response.json()) as T;
}
