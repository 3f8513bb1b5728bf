import { randomBytes, randomUUID } from 'node:crypto';
import type { ServerClock } from '../serverClock';

export interface ServicePrincipal {
  clientId: string;
  clientSecret: string;
}

export interface User {
  /** The e-mail address, which is also the login name. */
  userName: string;
}

/**
 * Who may call the workspace's REST API, and with which tokens. An identity's
 * name is the client id of a service principal, or the e-mail of a user.
 */
export class Workspace {
  readonly #clock: ServerClock;
  readonly #identities = new Set<string>();
  /** Who may use projects, and not change their branches. */
  readonly #mereUsers = new Set<string>();
  readonly #secrets = new Map<string, string>();
  readonly #tokens = new Map<string, { userName: string; expiresAt: number }>();

  constructor(clock: ServerClock) {
    this.#clock = clock;
  }

  addServicePrincipal(): ServicePrincipal {
    const clientId = randomUUID();
    const clientSecret = `dose${randomBytes(16).toString('hex')}`;
    this.#identities.add(clientId);
    this.#secrets.set(clientId, clientSecret);
    return { clientId, clientSecret };
  }

  addUser(email: string): User {
    this.#identities.add(email);
    return { userName: email };
  }

  /** What it has on all projects; CAN MANAGE unless told otherwise. */
  setPermission(userName: string, level: 'CAN_USE' | 'CAN_MANAGE'): void {
    this.checkIdentity(userName);
    if (level === 'CAN_USE') this.#mereUsers.add(userName);
    else this.#mereUsers.delete(userName);
  }

  mayManage(userName: string): boolean {
    return !this.#mereUsers.has(userName);
  }

  hasSecret(clientId: string, clientSecret: string): boolean {
    return this.#secrets.get(clientId) === clientSecret;
  }

  /** So that a misspelt name fails in the test that has it. */
  checkIdentity(userName: string): void {
    if (!this.#identities.has(userName))
      throw new Error(`The workspace has no identity '${userName}'`);
  }

  issueToken(userName: string, lifeMs: number, prefix = 'eyJ'): string {
    this.checkIdentity(userName);
    const token = `${prefix}${randomBytes(24).toString('hex')}`;
    const expiresAt = this.#clock.now() + lifeMs;
    this.#tokens.set(token, { userName, expiresAt });
    return token;
  }

  /** Whose token this is; undefined when expired, revoked or made up. */
  userOf(token: string): string | undefined {
    const known = this.#tokens.get(token);
    if (!known || this.#clock.now() >= known.expiresAt) return undefined;
    return known.userName;
  }

  revokeTokens(): void {
    this.#tokens.clear();
  }
}
