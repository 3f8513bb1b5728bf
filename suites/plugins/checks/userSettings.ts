import { randomUUID } from 'node:crypto';
import { expect, type Check } from '../check';

interface Setting {
  value: string;
}

export const userSettings: Check<{ key: string; value: string }> = {
  plugin: 'user-settings',
  does: 'one is written and read',
  async run({ here, there, installation }, earlier) {
    const setting = { key: randomUUID(), value: randomUUID() };
    await here.user.json(`user-settings/buckets/matrix/keys/${setting.key}`, {
      method: 'PUT',
      body: { value: setting.value },
    });
    for (const { key, value } of [setting, earlier ?? setting]) {
      const read = await there.user.json<Setting>(
        `user-settings/buckets/matrix/keys/${key}`,
      );
      expect(read.value === value, 'the setting that was written');
    }
    const rows = await installation.count(
      'user-settings',
      'user_settings',
      `key = '${setting.key}'`,
    );
    expect(rows === 1, 'the setting in the database');
    return setting;
  },
};
