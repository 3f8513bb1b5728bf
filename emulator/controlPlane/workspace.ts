import { randomBytes, randomUUID } from 'node:crypto';
import type { ServerClock } from '../serverClock';

export interface ServicePrincipal {
  clientId: string;
  clientSecret: string;
}

/** Who may call the workspace's REST API, and with which tokens. */
export class Workspace {
  readonly #clock: ServerClock;
  readonly #secrets = new Map<string, string>();
  readonly #tokens = new Map<string, { clientId: string; expiresAt: number }>();

  constructor(clock: ServerClock) {
    this.#clock = clock;
  }

  addServicePrincipal(): ServicePrincipal {
    const clientId = randomUUID();
    const clientSecret = `dose${randomBytes(16).toString('hex')}`;
    this.#secrets.set(clientId, clientSecret);
    return { clientId, clientSecret };
  }

  hasSecret(clientId: string, clientSecret: string): boolean {
    return this.#secrets.get(clientId) === clientSecret;
  }

  issueToken(clientId: string, lifeMs: number, prefix = 'eyJ'): string {
    const token = `${prefix}${randomBytes(24).toString('hex')}`;
    const expiresAt = this.#clock.now() + lifeMs;
    this.#tokens.set(token, { clientId, expiresAt });
    return token;
  }

  /** Whose token this is; undefined when expired, revoked or made up. */
  clientOf(token: string): string | undefined {
    const known = this.#tokens.get(token);
    if (!known || this.#clock.now() >= known.expiresAt) return undefined;
    return known.clientId;
  }

  revokeTokens(): void {
    this.#tokens.clear();
  }
}
