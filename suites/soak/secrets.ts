import type { Emulator } from '../../emulator';

/** A tail is enough to tell them apart, and finds what was cut at its front. */
const TAIL = 40;

/** All that must never be seen: the client's secret, and whatever is minted. */
export class Secrets {
  readonly #tails = new Set<string>();
  /** Database credentials, in the order in which they were minted. */
  readonly credentials: string[] = [];

  /** Hears of everything that the platform hands out from now on. */
  constructor({ controlPlane, servicePrincipal }: Emulator) {
    const { workspace, authority } = controlPlane;
    const { clientId, clientSecret } = servicePrincipal;
    this.#add(clientSecret);
    this.#add(Buffer.from(`${clientId}:${clientSecret}`).toString('base64'));

    const issueToken = workspace.issueToken.bind(workspace);
    workspace.issueToken = (...args) => this.#add(issueToken(...args));
    const mint = authority.mint.bind(authority);
    authority.mint = async (...args) => {
      const minted = await mint(...args);
      this.credentials.push(this.#add(minted.token));
      return minted;
    };
  }

  get count(): number {
    return this.#tails.size;
  }

  /** How many of them a text tells. */
  countIn(text: string): number {
    return [...this.#tails].filter(tail => text.includes(tail)).length;
  }

  #add(secret: string): string {
    this.#tails.add(secret.slice(-TAIL));
    return secret;
  }
}
