import { randomUUID } from 'node:crypto';
import { waitFor } from '../../../testbed/waiting';
import { expect, type Backstage, type Check, type Stage } from '../check';
import type { Installation } from '../installation';

/** Well below the 55 s after which the bus answers whether or not notified. */
const NOTIFY_TIMEOUT_MS = 30_000;

interface Events {
  events: { payload: { id: string } }[];
}

/** What a listening session has last run: later on, its ping. */
const LISTENING = `query IN ('LISTEN event_bus_publish', 'select 1')`;

/** A reader of its own topic, on one backend. */
class Subscription {
  readonly topic: string;
  readonly #reader: Backstage;
  readonly #signal: AbortSignal;

  constructor(topic: string, { there, signal }: Stage) {
    this.topic = topic;
    this.#reader = there;
    this.#signal = signal;
  }

  get #path() {
    return `events/bus/v1/subscriptions/${this.topic}`;
  }

  async open(): Promise<void> {
    await this.#reader.service.request(this.#path, {
      method: 'PUT',
      body: { topics: [this.topic] },
    });
  }

  async publish(publisher: Backstage): Promise<string> {
    const id = randomUUID();
    const { status } = await publisher.service.request('events/bus/v1/events', {
      body: { event: { topic: this.topic, payload: { id } } },
    });
    expect(status === 201, 'the event to find a subscriber');
    return id;
  }

  /** A long poll that has nothing to tell yet, and ends when there may be. */
  async wait(): Promise<() => Promise<void>> {
    const response = await this.#read();
    expect(response.status === 202, 'no event yet');
    const end = response.text();
    return async () => {
      const patience = AbortSignal.timeout(NOTIFY_TIMEOUT_MS);
      const signal = AbortSignal.any([this.#signal, patience]);
      await waitFor(
        () => `${this.#reader.name} to be notified`,
        () => end,
        signal,
      );
    };
  }

  async receive(id: string): Promise<void> {
    const response = await this.#read();
    expect(response.status === 200, 'an event');
    const { events } = (await response.json()) as Events;
    expect(
      events.some(({ payload }) => payload.id === id),
      'the event that was published',
    );
  }

  #read(): Promise<Response> {
    return this.#reader.service.request(`${this.#path}/events`);
  }
}

/** Ends the session that LISTENs for a backend. */
async function endListening(
  installation: Installation,
  { name }: Backstage,
): Promise<void> {
  const ended = await installation.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = '${name}' AND ${LISTENING}`,
  );
  expect(ended.length > 0, 'a session that listens');
}

/** An event that nobody has read. */
interface Unread {
  topic: string;
  id: string;
}

export const events: Check<Unread> = {
  plugin: 'events',
  does: 'a long poll gets events by LISTEN and NOTIFY: after a new credential, after its session was killed',
  async run(stage, unread) {
    const { here, there, installation, signal } = stage;
    if (unread) {
      await new Subscription(unread.topic, stage).receive(unread.id);
    }
    const subscription = new Subscription(`matrix-${randomUUID()}`, stage);
    await subscription.open();

    const delivered = await subscription.wait();
    // The session that listens has logged in with the credential before.
    await installation.rotation(there.name, signal);
    const first = await subscription.publish(here);
    await delivered();
    await subscription.receive(first);

    const cutOff = await subscription.wait();
    await endListening(installation, there);
    await cutOff();

    const again = await subscription.wait();
    const second = await subscription.publish(here);
    await again();
    await subscription.receive(second);

    const { topic } = subscription;
    return { topic, id: await subscription.publish(here) };
  },
};
