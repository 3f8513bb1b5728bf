import { errors, type JWTPayload } from 'jose';
import type { IdentityProvider } from '../identityProvider';
import { OAuthError } from './apiError';

export interface FederationPolicy {
  issuer: string;
  subject: string;
  audience: string;
  /** Of a service principal's own policy; absent in an account-wide one. */
  clientId?: string;
  /** Whom the subject is let in as. */
  userName: string;
}

const invalidGrant = (description: string) =>
  new OAuthError(400, 'invalid_grant', description);

/** Whose tokens from elsewhere the workspace takes, and for whom. */
export class Federation {
  readonly #provider: IdentityProvider;
  readonly #policies: FederationPolicy[] = [];

  constructor(provider: IdentityProvider) {
    this.#provider = provider;
  }

  add(policy: FederationPolicy): void {
    this.#policies.push(policy);
  }

  /** The identity behind a subject token. */
  async userOf(token: string, clientId?: string): Promise<string> {
    const claims = await this.#readClaims(token);
    const ofIssuer = narrow(
      this.#policies,
      ({ issuer }) => issuer === claims.iss,
      invalidGrant(`No federation policy trusts the issuer ${claims.iss}`),
    );
    const ofSubject = narrow(
      ofIssuer,
      ({ subject }) => subject === claims.sub,
      invalidGrant(`No federation policy for the subject ${claims.sub}`),
    );
    const ofAudience = narrow(
      ofSubject,
      ({ audience }) => [claims.aud].flat().includes(audience),
      invalidGrant('The audience of the subject token is not the expected one'),
    );
    const [{ userName }] = narrow(
      ofAudience,
      policy => policy.clientId === clientId,
      new OAuthError(
        401,
        'invalid_client',
        'The client_id does not match the federation policy',
      ),
    );
    return userName;
  }

  async #readClaims(token: string): Promise<JWTPayload> {
    try {
      return await this.#provider.verify(token);
    } catch (error) {
      throw invalidGrant(
        error instanceof errors.JWTExpired
          ? 'The subject token has expired'
          : 'The subject token could not be verified',
      );
    }
  }
}

function narrow(
  policies: FederationPolicy[],
  matches: (policy: FederationPolicy) => boolean,
  otherwise: OAuthError,
): FederationPolicy[] {
  const matching = policies.filter(matches);
  if (matching.length === 0) throw otherwise;
  return matching;
}
