import { Socket } from 'node:net';
import { Client } from 'pg';
import { splitMessages, textOf } from './wire';

export interface UpstreamOptions {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** The client's own, so that each of its parameters arrives unchanged. */
  startupPacket: Buffer;
  /** Whether the client is told this parameter's value. */
  isReported: (parameter: string) => boolean;
}

export interface Upstream {
  socket: Socket;
  processId: number;
  /** All that the server said up to its first ReadyForQuery, but for the password exchange. */
  greeting: Buffer;
}

/** The real server's own refusal, for the client to see as it is. */
export class UpstreamRefusal extends Error {
  readonly response: Buffer;
  readonly code: string;

  constructor(response: Buffer, code: string) {
    super(`Postgres refused the login: ${code}`);
    this.response = response;
    this.code = code;
  }
}

/**
 * Logs in at the real server in the client's name. pg does the password
 * exchange; all other bytes are kept as they came.
 */
export async function openUpstream(
  options: UpstreamOptions,
): Promise<Upstream> {
  const { startupPacket, isReported, ...login } = options;
  const socket = new Socket();
  const client = new Client({ ...login, ssl: false, stream: () => socket });
  // pg reports the end of the connection here, long after it is ours.
  client.on('error', () => {});
  Object.assign(client.connection, {
    startup: () => socket.write(startupPacket),
  });
  const greeting = collectGreeting(socket, isReported);
  try {
    await client.connect();
  } catch (error) {
    socket.destroy();
    const { code } = error as { code?: string };
    if (greeting.refusal && code)
      throw new UpstreamRefusal(greeting.refusal, code);
    throw error;
  }
  return {
    socket,
    processId: greeting.processId,
    greeting: Buffer.concat(greeting.kept),
  };
}

interface Greeting {
  kept: Buffer[];
  processId: number;
  refusal?: Buffer;
}

function collectGreeting(
  socket: Socket,
  isReported: UpstreamOptions['isReported'],
): Greeting {
  const greeting: Greeting = { kept: [], processId: 0 };
  let received: Buffer = Buffer.alloc(0);

  socket.on('data', (chunk: Buffer) => {
    const { messages, rest } = splitMessages(Buffer.concat([received, chunk]));
    received = rest;
    for (const { type, bytes } of messages) {
      if (type === 'R' && bytes.readInt32BE(5) !== 0) continue;
      if (type === 'S' && !isReported(textOf(bytes))) continue;
      if (type === 'K') greeting.processId = bytes.readInt32BE(5);
      if (type === 'E') greeting.refusal = bytes;
      greeting.kept.push(bytes);
    }
    if (messages.some(({ type }) => type === 'Z')) {
      // From here on the bytes are the client's: nobody else may read them.
      socket.pause();
      socket.removeAllListeners('data');
      greeting.kept.push(rest);
    }
  });
  return greeting;
}
