import type { Socket } from 'node:net';

/** What the first packet of a client is for. */
export const PACKET = {
  startup: 196608,
  cancel: 80877102,
  ssl: 80877103,
  gss: 80877104,
} as const;

/** As in Postgres. The start of a TLS hello reads as a much longer packet. */
const MAX_PACKET_BYTES = 10_000;

/** A client that says what is not the protocol, or leaves within a packet. */
export class ProtocolViolation extends Error {}

export interface Packet {
  code: number;
  body: Buffer;
}

export type StartupParameters = Map<string, string>;

/** Reads a packet without a type byte: a client's first ones are like that. */
export async function readPacket(socket: Socket): Promise<Packet> {
  const header = await readBytes(socket, 8);
  const length = header.readInt32BE(0);
  if (length < 8 || length > MAX_PACKET_BYTES) {
    throw new ProtocolViolation('invalid length of startup packet');
  }
  const body =
    length > 8 ? await readBytes(socket, length - 8) : Buffer.alloc(0);
  return { code: header.readInt32BE(4), body };
}

/** Leaves the socket paused, with what came after these bytes still in it. */
function readBytes(socket: Socket, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const take = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < count) return;
      stopListening();
      socket.pause();
      if (bytes.length > count) socket.unshift(bytes.subarray(count));
      resolve(bytes.subarray(0, count));
    };
    const leave = () => {
      stopListening();
      reject(new ProtocolViolation('incomplete startup packet'));
    };
    const stopListening = () =>
      socket.off('data', take).off('end', leave).off('close', leave);
    if (socket.readableEnded || socket.destroyed) return leave();
    socket.on('data', take).on('end', leave).on('close', leave).resume();
  });
}

/** `user`, `database`, `application_name` and whatever else the client set. */
export function parseParameters(body: Buffer): StartupParameters {
  const words = body.toString().split('\0');
  // After the last value come an empty name and the end of the packet.
  const complete = words.pop() === '' && words.pop() === '';
  const names = words.filter((_, index) => index % 2 === 0);
  if (!complete || words.length % 2 !== 0 || names.includes('')) {
    throw new ProtocolViolation('invalid startup packet layout');
  }
  return new Map(names.map((name, index) => [name, words[2 * index + 1]]));
}

export function encodeStartup(parameters: StartupParameters): Buffer {
  const words = [...parameters].flat().map(word => `${word}\0`);
  return encodePacket(PACKET.startup, Buffer.from(`${words.join('')}\0`));
}

/** Asks a server to cancel the query of the session with this key. */
export const encodeCancel = (key: Buffer) => encodePacket(PACKET.cancel, key);

function encodePacket(code: number, body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeInt32BE(header.length + body.length, 0);
  header.writeInt32BE(code, 4);
  return Buffer.concat([header, body]);
}

function encodeMessage(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}

/** The server has done all it was asked for, and is in no transaction. */
export const READY_AND_IDLE = encodeMessage('Z', Buffer.from('I'));

export const TERMINATE = encodeMessage('X', Buffer.alloc(0));

/** What a server says after a login, without the password exchange. */
export const encodeGreeting = (
  status: Map<string, string>,
  cancelKey: Buffer,
) =>
  Buffer.concat([
    encodeMessage('R', Buffer.alloc(4)),
    ...[...status].map(([name, value]) =>
      encodeMessage('S', Buffer.from(`${name}\0${value}\0`)),
    ),
    encodeMessage('K', cancelKey),
    READY_AND_IDLE,
  ]);

export function encodeFatalError(sqlState: string, text: string): Buffer {
  const fields = ['SFATAL', 'VFATAL', `C${sqlState}`, `M${text}`];
  return encodeMessage('E', Buffer.from(`${fields.join('\0')}\0\0`));
}
