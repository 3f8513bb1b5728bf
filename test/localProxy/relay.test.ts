import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { Relay } from '../../src/localProxy/relay';

/** Has always more to say, and never finishes what it is told. */
class Flood extends Duplex {
  chunks = 0;

  override _read(size: number) {
    // A bound, so that a relay that does not wait ends the test.
    this.chunks += 1;
    this.push(this.chunks < 1_000 ? Buffer.alloc(size) : null);
  }

  override _write() {}

  destroySoon() {
    this.destroy();
  }
}

const asSocket = (duplex: Duplex) => duplex as Socket;

describe('a relay', () => {
  it('lets either side wait for the other', async () => {
    const client = new Flood();
    const server = new Flood();
    new Relay(asSocket(client), asSocket(server));

    for (let turn = 0; turn < 2_000; turn++) await setImmediate();

    expect(client.chunks).toBeLessThan(10);
    expect(server.chunks).toBeLessThan(10);
  });
});
