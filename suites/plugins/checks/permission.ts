import { expect, type Check } from '../check';

interface Decisions {
  items: { id: string; result: string }[];
}

export const permission: Check<void> = {
  plugin: 'permission',
  does: 'the policy decides',
  async run({ there, installation }) {
    const { items } = await there.user.json<Decisions>('permission/authorize', {
      body: {
        items: [
          {
            id: '1',
            permission: {
              type: 'basic',
              name: 'catalog.entity.create',
              attributes: { action: 'create' },
            },
          },
        ],
      },
    });
    expect(items[0]?.result === 'ALLOW', 'the policy to allow it');
    // Its only tables are those that every plugin has.
    await installation.count(
      'permission',
      'backstage_backend_public_keys__keys',
    );
  },
};
