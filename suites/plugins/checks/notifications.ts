import { expect, type Backstage, type Check } from '../check';

interface Notification {
  id: string;
  payload: { title: string };
}

/** Sends one to the reader, as another plugin does. */
export async function notify({ service }: Backstage): Promise<string> {
  const [sent] = await service.json<Notification[]>(
    'notifications/notifications',
    {
      body: {
        recipients: { type: 'entity', entityRef: 'user:default/reader' },
        payload: { title: 'Your book is late' },
      },
    },
  );
  expect(sent !== undefined, 'the reader to be found in the catalog');
  return sent.id;
}

export const notifications: Check<string> = {
  plugin: 'notifications',
  does: 'one is sent and read',
  async run({ here, there, installation }, earlier) {
    const id = await notify(here);
    for (const each of [id, earlier ?? id]) {
      const { payload } = await there.user.json<Notification>(
        `notifications/notifications/${each}`,
      );
      expect(payload.title === 'Your book is late', 'the notification');
    }
    const rows = await installation.count(
      'notifications',
      'notification',
      `id = '${id}'`,
    );
    expect(rows === 1, 'the notification in the database');
    return id;
  },
};
