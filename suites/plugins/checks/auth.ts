import { expect, type Check } from '../check';
import { Client } from '../client';

interface SignIn {
  backstageIdentity: { token: string };
}

/** Signs in as guest. */
export async function signIn(nobody: Client): Promise<Client> {
  const { backstageIdentity } = await nobody.json<SignIn>('auth/guest/refresh');
  return new Client(nobody.url, backstageIdentity.token, nobody.signal);
}

export const auth: Check<string> = {
  plugin: 'auth',
  does: 'guests sign in; their tokens outlast a restart',
  async run({ here, there, installation, signal }, earlierToken) {
    const { token } = await signIn(here.user);
    // Known by the key that its issuer left in the database.
    for (const each of [token, earlierToken ?? token]) {
      const reader = new Client(there.user.url, each, signal);
      await reader.json('catalog/entities/by-name/user/default/reader');
    }
    const rows = await installation.count('auth', 'signing_keys');
    expect(rows > 0, 'the signing key in the database');
    return token;
  },
};
