import type { Duplex } from 'node:stream';
import type { RefusalVariant } from './refusals';

export const REQUEST = {
  ssl: 80877103,
  gss: 80877104,
  cancel: 80877102,
} as const;

/** No honest client's first packet is longer; a TLS hello read as one is. */
const MAX_PACKET_BYTES = 10_000;

/** The other side is gone, or says something that is not the protocol. */
export class ConnectionLost extends Error {}

export interface StartupPacket {
  code: number;
  bytes: Buffer;
}

/** A packet without a type byte: a connection's first ones are like that. */
export async function readStartupPacket(
  socket: Duplex,
): Promise<StartupPacket> {
  const header = await readBytes(socket, 8);
  const payload = await readBytes(socket, packetLength(header, 0) - 8);
  return {
    code: header.readInt32BE(4),
    bytes: Buffer.concat([header, payload]),
  };
}

/** The first byte, which stays to be read. */
export async function peekByte(socket: Duplex): Promise<number> {
  const bytes = await readBytes(socket, 1);
  socket.unshift(bytes);
  return bytes[0];
}

export async function readPassword(socket: Duplex): Promise<string> {
  const header = await readBytes(socket, 5);
  const payload = await readBytes(socket, packetLength(header, 1) - 4);
  if (header[0] !== 'p'.charCodeAt(0)) throw new ConnectionLost();
  return payload.subarray(0, -1).toString();
}

/** `user`, `database`, `application_name` and whatever else the client set. */
export function startupParameters({
  bytes,
}: StartupPacket): Record<string, string> {
  const words = bytes.subarray(8).toString().split('\0');
  const parameters: Record<string, string> = {};
  for (let i = 0; words[i]; i += 2) parameters[words[i]] = words[i + 1];
  return parameters;
}

/** As from a client that had set none by `options`. */
export function withoutOptions(packet: StartupPacket): Buffer {
  const { options: _, ...parameters } = startupParameters(packet);
  const words = Object.entries(parameters).flat();
  const body = Buffer.from(words.map(word => `${word}\0`).join('') + '\0');
  const header = Buffer.from(packet.bytes.subarray(0, 8));
  header.writeInt32BE(header.length + body.length, 0);
  return Buffer.concat([header, body]);
}

/** The first text of a message: a statement, or the name of a parameter. */
export const textOf = (message: Buffer): string =>
  message.toString('utf8', 5, message.indexOf(0, 5));

export function authenticationCleartextPassword(): Buffer {
  return Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
}

export function errorResponse(
  { code, message, detail, severity = 'FATAL' }: RefusalVariant,
  user: string,
  database: string,
): Buffer {
  const fields = [
    `S${severity}`,
    `V${severity}`,
    `C${code}`,
    `M${message(user, database)}`,
    ...(detail ? [`D${detail}`] : []),
  ];
  const body = Buffer.from(fields.map(field => `${field}\0`).join('') + '\0');
  const header = Buffer.alloc(5);
  header.write('E');
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

export interface Message {
  type: string;
  bytes: Buffer;
}

/** The whole messages at the start of what a server sent, and the rest. */
export function splitMessages(received: Buffer): {
  messages: Message[];
  rest: Buffer;
} {
  const messages: Message[] = [];
  let rest = received;
  while (rest.length >= 5) {
    const length = 1 + rest.readInt32BE(1);
    if (rest.length < length) break;
    const bytes = rest.subarray(0, length);
    messages.push({ type: String.fromCharCode(bytes[0]), bytes });
    rest = rest.subarray(length);
  }
  return { messages, rest };
}

function packetLength(header: Buffer, offset: number): number {
  const length = header.readInt32BE(offset);
  if (length < header.length - offset || length > MAX_PACKET_BYTES)
    throw new ConnectionLost();
  return length;
}

async function readBytes(socket: Duplex, length: number): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  for (;;) {
    const bytes = socket.read(length) as Buffer | null;
    if (bytes?.length === length) return bytes;
    if (bytes || socket.destroyed || socket.readableEnded)
      throw new ConnectionLost();
    await readableOrClosed(socket);
  }
}

function readableOrClosed(socket: Duplex): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      socket.off('readable', done);
      socket.off('end', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('readable', done);
    socket.on('end', done);
    socket.on('close', done);
  });
}
