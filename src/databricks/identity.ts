/** Who calls the workspace, and what it takes to get a token for its API. */
export type Identity =
  | { method: 'oauth-m2m'; clientId: string; clientSecret: string }
  | { method: 'pat'; clientId?: undefined; token: string }
  | ({ method: 'file-oidc'; tokenFile: string } & Federation)
  | ({ method: 'env-oidc'; idToken: string } & Federation)
  | ({
      method: 'github-oidc';
      requestUrl: string;
      requestToken: string;
    } & Federation)
  | {
      method: 'databricks-cli';
      clientId?: undefined;
      /** The program to run. */
      command: string;
      /** In place of the host, to say whose token is asked for. */
      profile?: string;
    }
  | { method: 'external'; clientId?: undefined };

interface Federation {
  /** Absent with a federation policy of the whole account. */
  clientId?: string;
  /** Whom the id token has to be made out to. */
  audience: string;
}

/** Settings of a workspace, read each time they are needed. */
export type WorkspaceSettings = Identity & {
  /** Origin of the workspace, as `https://host[:port]`. */
  host: string;
  /** Which setting the host came from, for messages. */
  hostKey: string;
  /** Which workspace is meant, where the host serves several. */
  workspaceId?: string;
  /** Which settings the identity came from, for messages. */
  identityKeys: string;
};

/**
 * Where tokens for the workspace's API come from when this module has no method
 * of its own to get them, such as Microsoft Entra ID or a vault.
 *
 * @public
 */
export interface LakebaseWorkspaceTokenService {
  /**
   * Called for each new token; a token is kept until shortly before it expires,
   * or until the workspace refuses it.
   */
  getToken(options: {
    /** As `https://host[:port]`. */
    workspaceHost: string;
    /** Aborts when the token has not come in time, or at shutdown. */
    signal: AbortSignal;
  }): Promise<{ token: string; expiresAt: Date }>;
}

/** The audience of id tokens, where nothing else is configured. */
export const tokenUrl = (host: string) => `${host}/oidc/v1/token`;
