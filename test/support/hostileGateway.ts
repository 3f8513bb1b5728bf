import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { serverCertificate } from '../../emulator/certificates';

/** A message of the Postgres protocol. */
export function message(kind: string, body: Buffer | string): Buffer {
  const content = Buffer.from(body as string);
  const header = Buffer.alloc(5);
  header.write(kind);
  header.writeUInt32BE(content.length + 4, 1);
  return Buffer.concat([header, content]);
}

/** AuthenticationRequest, of a kind. */
export function authentication(kind: number, rest: Buffer | string = '') {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(kind);
  return message('R', Buffer.concat([number, Buffer.from(rest as string)]));
}

/** ErrorResponse. */
export const errorResponse = (code: string, text: string) =>
  message('E', `SFATAL\0VFATAL\0C${code}\0M${text}\0\0`);

export interface HostileGateway {
  port: number;
  /** What was sent as passwords. */
  passwords: string[];
  stop(): Promise<void>;
}

/** Answers a login with `answer`, over TLS that is trusted. */
export async function startHostileGateway(
  answer: (socket: TLSSocket, password: string) => void,
  { asksForPassword = true } = {},
): Promise<HostileGateway> {
  const secureContext = createSecureContext(await serverCertificate('valid'));
  const sockets = new Set<Socket>();
  const passwords: string[] = [];

  async function serve(socket: Socket) {
    const [begin] = (await once(socket, 'data')) as [Buffer];
    // Of those who begin TLS at once, it wants nothing.
    if (begin[0] === 0x16) return socket.destroy();
    socket.write('S');
    const secure = new TLSSocket(socket, { isServer: true, secureContext });
    secure.on('error', () => {});
    await once(secure, 'data');
    if (!asksForPassword) return answer(secure, '');
    secure.write(authentication(3));
    const [sent] = (await once(secure, 'data')) as [Buffer];
    const password = sent.subarray(5, -1).toString();
    passwords.push(password);
    answer(secure, password);
  }
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    passwords,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
