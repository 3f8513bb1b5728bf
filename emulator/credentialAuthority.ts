import { randomUUID } from 'node:crypto';
import {
  compactVerify,
  decodeJwt,
  generateKeyPair,
  SignJWT,
  type JWTPayload,
} from 'jose';
import type { ServerClock } from './serverClock';

export type CredentialProblem =
  'notAToken' | 'keyUnknown' | 'revoked' | 'notYetValid' | 'expired';

export interface CheckedCredential {
  problem?: CredentialProblem;
  subject?: string;
  tokenId?: string;
}

interface Minted {
  issuedAt: number;
  expiresAt: number;
  revoked: boolean;
}

const ALGORITHM = 'ES256';

/** Mints database credentials for the control plane and checks them for the gateway. */
export class CredentialAuthority {
  readonly #keys: Awaited<ReturnType<typeof generateKeyPair>>;
  readonly #clock: ServerClock;
  // A JWT counts whole seconds; lives of a few seconds need the milliseconds.
  readonly #minted = new Map<string, Minted>();

  static async create(clock: ServerClock): Promise<CredentialAuthority> {
    return new CredentialAuthority(await generateKeyPair(ALGORITHM), clock);
  }

  private constructor(
    keys: Awaited<ReturnType<typeof generateKeyPair>>,
    clock: ServerClock,
  ) {
    this.#keys = keys;
    this.#clock = clock;
  }

  async mint(
    subject: string,
    lifeMs: number,
  ): Promise<{ token: string; expiresAt: number }> {
    const issuedAt = this.#clock.now();
    const expiresAt = issuedAt + lifeMs;
    const issuedAtS = Math.floor(issuedAt / 1000);
    const tokenId = randomUUID();
    const token = await new SignJWT()
      .setProtectedHeader({ alg: ALGORITHM })
      .setSubject(subject)
      .setJti(tokenId)
      .setIssuedAt(issuedAtS)
      .setExpirationTime(issuedAtS + Math.ceil(lifeMs / 1000))
      .sign(this.#keys.privateKey);
    this.#minted.set(tokenId, { issuedAt, expiresAt, revoked: false });
    return { token, expiresAt };
  }

  async check(token: string): Promise<CheckedCredential> {
    let claims: JWTPayload;
    try {
      claims = decodeJwt(token);
    } catch {
      return { problem: 'notAToken' };
    }
    try {
      await compactVerify(token, this.#keys.publicKey);
    } catch {
      return { problem: 'keyUnknown' };
    }
    return {
      problem: this.#problemOf(this.#minted.get(claims.jti!)!),
      subject: claims.sub,
      tokenId: claims.jti,
    };
  }

  revokeAll(): void {
    for (const minted of this.#minted.values()) minted.revoked = true;
  }

  #problemOf(minted: Minted): CredentialProblem | undefined {
    const now = this.#clock.now();
    if (minted.revoked) return 'revoked';
    if (now < minted.issuedAt) return 'notYetValid';
    if (now >= minted.expiresAt) return 'expired';
    return undefined;
  }
}
