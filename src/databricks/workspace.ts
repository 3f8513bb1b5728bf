import { z } from 'zod';
import type { Clock } from '../time/clock';
import { LakebaseError } from '../errors';
import { Credential, TokenRefresher } from '../tokenRefresher';
import { getAccessToken } from './accessToken';
import { readClaims } from './readClaims';
import { explainRefreshFault } from './credentialFaults';
import { AutoscalingEndpoint } from './autoscalingEndpoint';
import type {
  Endpoint,
  GetResource,
  Location,
  ResourceRequest,
} from './endpoint';
import { parseEndpointName } from './endpointName';
import { LakebaseWorkspaceTokenService, WorkspaceSettings } from './identity';
import { identityRemedy, describeCaller } from './identityTexts';
import { ProvisionedInstance } from './provisionedInstance';
import type { RequestSubject } from './refusalRule';
import {
  invalidReply,
  opaqueToken,
  readReply,
  shownName,
} from './workspaceReply';
import { callWorkspace, type WorkspaceReply } from './workspaceRequest';

export interface WorkspaceOptions {
  settings: {
    /** Its name, or that of a Provisioned instance, and where it was found. */
    endpoint: { value: string; source: string; kind: 'endpoint' | 'instance' };
    workspaceHost: { value: string };
    /** Read again for each call, since secrets are replaced. */
    readWorkspace: () => WorkspaceSettings;
    /** Asked-for life of a database credential; the platform's without it. */
    credentialLifetimeMs?: number;
  };
  /** Where tokens for the API come from with `external`. */
  external?: LakebaseWorkspaceTokenService;
  clock: Clock;
}

const credentialReply = z.object({
  token: opaqueToken,
  expire_time: z.iso.datetime({ offset: true }).optional(),
  /** What a Provisioned instance calls it. */
  expiration_time: z.iso.datetime({ offset: true }).optional(),
});

const selfReply = z.object({ userName: shownName });

interface ApiCall {
  action: string;
  path: string;
  method?: 'POST' | 'PATCH' | 'DELETE';
  body?: string;
  signal?: AbortSignal;
  surface?: 'self' | 'api' | 'branches' | 'statements';
  maxBytes?: number;
}

/**
 * A Databricks workspace as far as Lakebase needs it: mints credentials for an
 * endpoint and looks up where it listens and who logs in, as one identity.
 */
export class Workspace {
  readonly #options: WorkspaceOptions;
  /** Never started: renewed when a call needs it, retried by that caller. */
  readonly #accessToken: TokenRefresher;
  readonly #endpoint: Endpoint;
  #userName?: string;
  #answeredBy?: string;

  constructor(options: WorkspaceOptions) {
    this.#options = options;
    const { settings, clock } = options;
    const { kind, value, source } = settings.endpoint;
    const get: GetResource = request => this.request(request);
    this.#endpoint =
      kind === 'instance'
        ? new ProvisionedInstance({ name: value, source, get })
        : new AutoscalingEndpoint({
            name: parseEndpointName(value, source),
            source,
            get,
          });
    this.#accessToken = new TokenRefresher({
      mint: signal => this.#getAccessToken(signal),
      explain: explainRefreshFault,
      clock,
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
    const { credentialLifetimeMs } = this.#options.settings;
    const ttl = credentialLifetimeMs && `${credentialLifetimeMs / 1000}s`;
    const action = 'mint a database credential';
    const { path, body } = await this.#endpoint.credentialRequest(
      ttl || undefined,
      signal,
    );
    const { reply, serverTimeMs } = await this.#call({
      action,
      method: 'POST',
      path,
      body: JSON.stringify(body),
      signal,
    });
    const host = this.#options.settings.workspaceHost.value;
    const { token, expire_time, expiration_time } = readReply(
      credentialReply,
      reply,
      host,
      action,
    );
    const lifeMs = remainingLifeMs(
      token,
      Date.parse(expire_time ?? expiration_time ?? ''),
      serverTimeMs,
      this.#options.clock.wall(),
    );
    if (!(lifeMs > 0)) throw invalidReply('expire_time', host, action);
    return { token, lifeMs };
  }

  /**
   * Looks up where the endpoint listens, in one attempt.
   *
   * @throws LakebaseError `branch-changed` when its name means another
   * database than before.
   */
  locate(signal?: AbortSignal): Promise<Location> {
    return this.#endpoint.locate(signal);
  }

  /** The host alone, in one attempt. */
  async findHost(signal?: AbortSignal): Promise<string> {
    return (await this.locate(signal)).host;
  }

  /**
   * Looks up the login name of the identity, in one attempt.
   *
   * @throws LakebaseError
   */
  async findUser(signal?: AbortSignal): Promise<string> {
    const action = 'look up the login name';
    const { reply } = await this.#call({
      action,
      path: '/api/2.0/preview/scim/v2/Me',
      surface: 'self',
      signal,
    });
    const host = this.#options.settings.workspaceHost.value;
    this.#userName = readReply(selfReply, reply, host, action).userName;
    return this.#userName;
  }

  /**
   * Reads or changes a resource of the API, in one attempt.
   *
   * @throws LakebaseError
   */
  async request<T>({ schema, body, ...call }: ResourceRequest<T>): Promise<T> {
    const { reply } = await this.#call({
      ...call,
      ...(body && { body: JSON.stringify(body) }),
    });
    const host = this.#options.settings.workspaceHost.value;
    return readReply(schema, reply, host, call.action);
  }

  /** Calls the API; a refused access token is renewed, once. */
  async #call({ surface = 'api', ...request }: ApiCall) {
    const attempt = async (token: string) => {
      const settings = this.#options.settings.readWorkspace();
      const reply = await callWorkspace({
        ...request,
        clock: this.#options.clock,
        host: settings.host,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          ...(settings.workspaceId && {
            'x-databricks-workspace-id': settings.workspaceId,
          }),
        },
        subject: {
          ...this.#subject(settings),
          action: request.action,
          surface,
        },
      });
      this.#checkAnsweredBy(reply, settings);
      return reply;
    };

    const token = await this.#accessToken.token(request.signal);
    try {
      return await attempt(token);
    } catch (error) {
      if (
        !(error instanceof LakebaseError) ||
        error.code !== 'access-token-refused' ||
        !(await this.#hasSuccessor(token, request.signal))
      )
        throw error;
      this.#accessToken.discard(token);
      return attempt(await this.#accessToken.token(request.signal));
    }
  }

  /** Notes which workspace answered, which must be the one that was meant. */
  #checkAnsweredBy(
    reply: WorkspaceReply,
    { host, hostKey, workspaceId }: WorkspaceSettings,
  ): void {
    this.#answeredBy = reply.workspaceId ?? workspaceId;
    if (!workspaceId || this.#answeredBy === workspaceId) return;
    throw new LakebaseError('workspace-mismatch', {
      problem:
        `Workspace ${this.#answeredBy} answered at ${host}, but ` +
        `${workspaceId} is configured`,
      remedy:
        `Check the id in ${hostKey} (?o=), DATABRICKS_WORKSPACE_ID and ` +
        'workspace_id of the profile',
    });
  }

  /** The id of the workspace, once it has answered. */
  get id(): string | undefined {
    return this.#answeredBy;
  }

  /**
   * Whether there is another token than the one that was refused. An
   * exchange gives one; a source that keeps its tokens may have nothing else.
   */
  async #hasSuccessor(token: string, signal?: AbortSignal): Promise<boolean> {
    const { method } = this.#options.settings.readWorkspace();
    if (!KEEPING_METHODS.includes(method)) return true;
    const next = await this.#getAccessToken(signal);
    return next.token !== token;
  }

  #getAccessToken(signal = new AbortController().signal): Promise<Credential> {
    const settings = this.#options.settings.readWorkspace();
    return getAccessToken({
      settings,
      subject: this.#subject(settings),
      external: this.#options.external,
      clock: this.#options.clock,
      signal,
    });
  }

  #subject(
    settings: WorkspaceSettings,
  ): Omit<RequestSubject, 'action' | 'surface'> {
    const { value, kind, source } = this.#options.settings.endpoint;
    const { host, hostKey, workspaceId } = settings;
    return {
      party: 'Databricks',
      who: describeCaller(settings, this.#userName),
      identityRemedy: identityRemedy(settings),
      endpoint: value,
      endpointKind: kind,
      endpointKey: source,
      workspaceHost: host,
      hostKey,
      workspaceId,
    };
  }
}

/** Their sources may give the same token again, up to its end. */
const KEEPING_METHODS: WorkspaceSettings['method'][] = [
  'pat',
  'databricks-cli',
  'external',
];

/**
 * The server's own clock decides how long a token lives, since ours may be
 * wrong. Without its time, the smaller of what our clock and the token say.
 */
function remainingLifeMs(
  token: string,
  expiresAtMs: number,
  serverTimeMs: number | undefined,
  nowMs: number,
): number {
  if (serverTimeMs !== undefined) return expiresAtMs - serverTimeMs;
  const byClock = expiresAtMs - nowMs;
  return Math.min(byClock, lifeInToken(token) ?? byClock);
}

/** `exp - iat` of a JWT. Read, not trusted: it can only shorten the life. */
function lifeInToken(token: string): number | undefined {
  const claims = readClaims(token);
  const lifeMs = (Number(claims?.exp) - Number(claims?.iat)) * 1000;
  return lifeMs > 0 ? lifeMs : undefined;
}
