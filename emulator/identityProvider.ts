import { randomBytes } from 'node:crypto';
import { generateKeyPair, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import type { ServerClock } from './serverClock';

export interface IdTokenOptions {
  subject: string;
  audience: string;
  /** Whole seconds count; below zero it has expired already. */
  lifeMs?: number;
  /** Default: the provider's own. */
  issuer?: string;
}

const ALGORITHM = 'ES256';
const LIFE_MS = 600_000;

/** What a workflow of GitHub Actions is to those who trust its tokens. */
export const GITHUB_SUBJECT = 'repo:acme/portal:ref:refs/heads/main';

/** A company's own identity provider, whose tokens the workspace may trust. */
export class IdentityProvider {
  readonly issuer = 'https://identity.emulator.test';
  /** As ACTIONS_ID_TOKEN_REQUEST_TOKEN. */
  readonly githubRequestToken = randomBytes(24).toString('hex');
  readonly #keys: Awaited<ReturnType<typeof generateKeyPair>>;
  readonly #clock: ServerClock;
  readonly #controlPlaneUrl: () => string;

  static async create(
    clock: ServerClock,
    controlPlaneUrl: () => string,
  ): Promise<IdentityProvider> {
    const keys = await generateKeyPair(ALGORITHM);
    return new IdentityProvider(keys, clock, controlPlaneUrl);
  }

  private constructor(
    keys: Awaited<ReturnType<typeof generateKeyPair>>,
    clock: ServerClock,
    controlPlaneUrl: () => string,
  ) {
    this.#keys = keys;
    this.#clock = clock;
    this.#controlPlaneUrl = controlPlaneUrl;
  }

  /** As ACTIONS_ID_TOKEN_REQUEST_URL, which has a query of its own already. */
  get githubRequestUrl(): string {
    return `${this.#controlPlaneUrl()}/github/idtoken?api-version=2.0`;
  }

  issueToken(options: IdTokenOptions): Promise<string> {
    const { subject, audience, lifeMs = LIFE_MS } = options;
    const now = this.#clock.now();
    return new SignJWT()
      .setProtectedHeader({ alg: ALGORITHM })
      .setIssuer(options.issuer ?? this.issuer)
      .setSubject(subject)
      .setAudience(audience)
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(Math.ceil((now + lifeMs) / 1000))
      .sign(this.#keys.privateKey);
  }

  /** The claims of a token of this provider that is valid now. */
  async verify(token: string): Promise<JWTPayload> {
    const { payload } = await jwtVerify(token, this.#keys.publicKey, {
      currentDate: new Date(this.#clock.now()),
    });
    return payload;
  }
}
