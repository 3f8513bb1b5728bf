import { once } from 'node:events';
import { WebSocket } from 'ws';
import { waitFor } from '../../../testbed/waiting';
import type { Check } from '../check';
import type { Client } from '../client';
import { notify } from './notifications';

/** The plugin takes its first connection for a plain request, never answered. */
const HANDSHAKE_TIMEOUT_MS = 2_000;

interface Signal {
  channel: string;
  message: { notification_id?: string };
}

/** Connects and subscribes as the frontend does, which also tries again. */
async function subscribe(user: Client, signal: AbortSignal) {
  const url = `${user.url.replace('http', 'ws')}/api/signals`;
  for (;;) {
    const socket = new WebSocket(url, user.token, {
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    try {
      await once(socket, 'open', { signal });
    } catch {
      signal.throwIfAborted();
      continue;
    }
    socket.send('{"action":"subscribe","channel":"notifications"}');
    // What comes in is read in order, so that its answer follows.
    socket.ping();
    await once(socket, 'pong', { signal });
    return socket;
  }
}

export const signals: Check<void> = {
  plugin: 'signals',
  does: 'the signal of a notification arrives over a WebSocket',
  async run({ here, there, installation, signal }) {
    const socket = await subscribe(there.user, signal);
    try {
      const received = new Set<string>();
      socket.on('message', data => {
        const text = (data as Buffer).toString();
        const { message } = JSON.parse(text) as Signal;
        if (message.notification_id) received.add(message.notification_id);
      });
      const id = await notify(here);
      await waitFor(
        () => 'the signal of a notification',
        async () => {
          while (!received.has(id)) await once(socket, 'message', { signal });
        },
        signal,
      );
    } finally {
      socket.terminate();
    }
    // Its only tables are those that every plugin has.
    await installation.count('signals', 'backstage_backend_public_keys__keys');
  },
};
