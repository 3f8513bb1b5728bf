import { gzipSync } from 'node:zlib';
import type { Emulator } from '../../emulator';
import type { Answer } from './scriptedServer';

/** What the emulator's workspace answers, as a server before it passes it on. */
export const passedOn =
  ({ controlPlane }: Emulator, { gzip = false } = {}): Answer =>
  (response, { method, path, headers, body }) => {
    const { authorization, 'content-type': type } = headers;
    void fetch(controlPlane.url + path, {
      method,
      headers: {
        ...(authorization && { authorization }),
        ...(type && { 'content-type': type }),
      },
      body: body || undefined,
    }).then(async reply => {
      const text = await reply.text();
      response.writeHead(reply.status, {
        date: reply.headers.get('date') ?? undefined,
        'content-type': 'application/json',
        ...(gzip && { 'content-encoding': 'gzip' }),
      });
      response.end(gzip ? gzipSync(text) : text);
    });
  };
