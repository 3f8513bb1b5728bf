import { z } from 'zod';
import { LakebaseError } from '../errors';
import { Credential, TokenRefresher } from '../tokenRefresher';
import { RequestSubject } from './workspaceErrors';
import { workspaceRequest } from './workspaceRequest';

/** Settings of a workspace, read anew whenever they are needed. */
export interface WorkspaceSettings {
  /** Origin of the workspace, as `https://host[:port]`. */
  host: string;
  /** Which setting the host came from, for messages. */
  hostKey: string;
  clientId: string;
  clientSecret: string;
  /** Which settings the client id and secret came from, for messages. */
  identityKeys: string;
}

export interface WorkspaceOptions {
  settings: () => WorkspaceSettings;
  /** Resource path of the endpoint. */
  endpoint: string;
  /** Which setting the endpoint came from, for messages. */
  endpointKey: string;
  /** Asked-for life of a database credential; the platform's without it. */
  credentialLifetimeMs?: number;
}

const oauthReply = z.object({
  access_token: z.string().min(1),
  // RFC 6749 wants a number; some servers send it as a string.
  expires_in: z
    .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
    .pipe(z.number().positive()),
});

const credentialReply = z.object({
  token: z.string().min(1),
  expire_time: z.iso.datetime({ offset: true }),
});

const endpointReply = z.object({
  status: z.object({ hosts: z.object({ host: z.string().min(1) }) }),
});

/**
 * A Databricks workspace as far as Lakebase needs it: mints credentials for an
 * endpoint and looks up where it listens, as one OAuth client.
 */
export class Workspace {
  readonly #options: WorkspaceOptions;
  /** Never started: renewed when a call needs it, retried by that caller. */
  readonly #accessToken: TokenRefresher;

  constructor(options: WorkspaceOptions) {
    this.#options = options;
    this.#accessToken = new TokenRefresher({
      mint: signal => this.#exchange(signal),
    });
  }

  /** Ends a token exchange in flight; other calls end by their own signal. */
  stop(): void {
    this.#accessToken.stop();
  }

  /**
   * Mints a credential for the endpoint, in one attempt.
   *
   * @throws LakebaseError
   */
  async mintCredential(signal?: AbortSignal): Promise<Credential> {
    const { endpoint, credentialLifetimeMs } = this.#options;
    const ttl = credentialLifetimeMs && `${credentialLifetimeMs / 1000}s`;
    const action = 'mint a database credential';
    const { reply, serverTimeMs } = await this.#call({
      action,
      method: 'POST',
      path: '/api/2.0/postgres/credentials',
      body: JSON.stringify({ endpoint, ...(ttl && { ttl }) }),
      signal,
    });
    const { token, expire_time } = this.#validate(
      credentialReply,
      reply,
      action,
    );
    const lifeMs = remainingLifeMs(
      token,
      Date.parse(expire_time),
      serverTimeMs,
    );
    if (!(lifeMs > 0)) throw this.#invalid(action, 'expire_time');
    return { token, lifeMs };
  }

  /**
   * Looks up the host name that the endpoint listens on, in one attempt.
   *
   * @throws LakebaseError
   */
  async findHost(signal?: AbortSignal): Promise<string> {
    const action = 'look up the endpoint';
    const { reply } = await this.#call({
      action,
      path: `/api/2.0/postgres/${this.#options.endpoint}`,
      signal,
    });
    return this.#validate(endpointReply, reply, action).status.hosts.host;
  }

  /** Calls the API; a refused access token is renewed, once. */
  async #call(request: {
    action: string;
    path: string;
    method?: 'POST';
    body?: string;
    signal?: AbortSignal;
  }) {
    const attempt = async (token: string) =>
      workspaceRequest({
        ...request,
        host: this.#options.settings().host,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
        },
        subject: this.#subject(request.action, 'api'),
      });

    const token = await this.#accessToken.token(request.signal);
    try {
      return await attempt(token);
    } catch (error) {
      if (
        !(error instanceof LakebaseError) ||
        error.code !== 'access-token-refused'
      )
        throw error;
      this.#accessToken.discard(token);
      return attempt(await this.#accessToken.token(request.signal));
    }
  }

  /** OAuth machine-to-machine: RFC 6749, section 4.4. */
  async #exchange(signal: AbortSignal): Promise<Credential> {
    const { host, clientId, clientSecret } = this.#options.settings();
    const basic = [clientId, clientSecret].map(encodeURIComponent).join(':');
    const action = 'exchange the OAuth client secret for a token';
    const { reply } = await workspaceRequest({
      host,
      path: '/oidc/v1/token',
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(basic).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: 'grant_type=client_credentials&scope=all-apis',
      subject: this.#subject(action, 'oauth'),
      signal,
    });
    const parsed = this.#validate(oauthReply, reply, action);
    return { token: parsed.access_token, lifeMs: parsed.expires_in * 1000 };
  }

  #subject(action: string, surface: RequestSubject['surface']): RequestSubject {
    const { endpoint, endpointKey, settings } = this.#options;
    const { host, hostKey, clientId, identityKeys } = settings();
    return {
      action,
      identity: clientId,
      identityKeys,
      endpoint,
      endpointKey,
      workspaceHost: host,
      hostKey,
      surface,
    };
  }

  #validate<T>(schema: z.ZodType<T>, reply: unknown, action: string): T {
    const result = schema.safeParse(reply);
    if (result.success) return result.data;
    const field = result.error.issues[0].path.join('.') || 'the whole reply';
    throw this.#invalid(action, field);
  }

  #invalid(action: string, field: string): LakebaseError {
    const { host } = this.#options.settings();
    return new LakebaseError('workspace-reply-invalid', {
      message:
        `${host} answered with an unusable reply (${field}) when asked to ` +
        `${action}`,
    });
  }
}

/**
 * The server's own clock says how long a token lives, so that ours may be
 * wrong. Without its time, the smaller of what our clock and the token say.
 */
function remainingLifeMs(
  token: string,
  expiresAtMs: number,
  serverTimeMs: number | undefined,
): number {
  if (serverTimeMs !== undefined) return expiresAtMs - serverTimeMs;
  const byClock = expiresAtMs - Date.now();
  return Math.min(byClock, lifeInToken(token) ?? byClock);
}

/** `exp - iat` of a JWT. Read, not trusted: it can only shorten the life. */
function lifeInToken(token: string): number | undefined {
  try {
    const payload = Buffer.from(token.split('.')[1], 'base64url').toString();
    const { exp, iat } = JSON.parse(payload) as {
      exp?: unknown;
      iat?: unknown;
    };
    const lifeMs = (Number(exp) - Number(iat)) * 1000;
    return lifeMs > 0 ? lifeMs : undefined;
  } catch {
    return undefined;
  }
}
