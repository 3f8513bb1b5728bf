import { expect, type Check } from '../check';

export const proxy: Check<void> = {
  plugin: 'proxy',
  does: 'a request reaches another server',
  async run({ there, installation }) {
    const loan = await there.user.json<{ path: string }>(
      'proxy/lending/loans/42',
    );
    expect(loan.path === '/loans/42', 'the answer of the proxied server');
    // Its only tables are those that every plugin has.
    await installation.count('proxy', 'backstage_backend_public_keys__keys');
  },
};
