import { Socket } from 'node:net';
import { Client } from 'pg';
import { openConnection } from '../../src/connections/openConnection';
import { SECOND } from '../../testbed/durations';
import { FakeClock } from '../../testbed/fakeClock';

const target = {
  host: 'ep-misspelt.database.example.com',
  port: 5432,
  user: 'backstage',
  database: 'databricks_postgres',
};

/** Fails as a name look-up does, since tests have no name server to rely on. */
function unresolvedSocket(): Socket {
  const socket = new Socket();
  const notFound = Object.assign(
    new Error(`getaddrinfo ENOTFOUND ${target.host}`),
    { code: 'ENOTFOUND' },
  );
  socket.connect = () => socket.destroy(notFound);
  return socket;
}

async function openTo(secondsBetweenAttempts: number, attempts: number) {
  const giveUp = new AbortController();
  const sockets: Socket[] = [];
  const clock = new FakeClock();
  clock.skipsPauses = true;

  const maker = {
    create: (password: string, socket: Socket) =>
      new Client({ ...target, ssl: true, password, stream: () => socket }),
    prepare: () => Promise.resolve(),
  };
  const failure = openConnection(maker, {
    tokens: {
      token: () => Promise.resolve('token'),
      confirm: () => {},
      reject: () => true,
      usable: true,
    },
    target,
    createSocket: () => {
      clock.block(secondsBetweenAttempts * SECOND);
      sockets.push(unresolvedSocket());
      if (sockets.length === attempts) giveUp.abort();
      return sockets.at(-1)!;
    },
    signal: giveUp.signal,
    connectTimeoutMs: 60_000,
    clock,
  });
  const error = await failure.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, attempts: sockets.length };
}

describe('an endpoint whose name does not resolve', () => {
  it('is tried again for a moment, for the name may be new', async () => {
    const outcome = await openTo(1, 4);

    expect(outcome).toMatchObject({
      error: { code: 'database-unknown-host' },
      attempts: 4,
    });
  });

  it('then counts as misspelt, and the error names the key', async () => {
    const outcome = await openTo(6, 10);

    expect(outcome).toMatchObject({
      error: { code: 'database-host-missing' },
      attempts: 2,
    });
    expect(String(outcome.error)).toContain('backend.database.connection.host');
  });
});
