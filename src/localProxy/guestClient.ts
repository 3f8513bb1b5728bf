import type { Socket } from 'node:net';
import { Client, ClientConfig } from 'pg';
import { getWire } from '../connections/pgWire';
import { encodeCancel, StartupParameters, encodeStartup } from './wire';

export interface GuestSettings extends ClientConfig {
  startup: StartupParameters;
}

/** A pg client that logs in for another client, to which it leaves its socket. */
export class GuestClient extends Client {
  /** What the server has said since the login began. */
  readonly status = new Map<string, string>();
  readonly cancelKey = Buffer.alloc(8);

  constructor(settings: GuestSettings) {
    super(settings);
    const wire = getWire(this);
    wire.startup = () => wire.stream.write(encodeStartup(settings.startup));
    wire.on('parameterStatus', ({ parameterName, parameterValue }) =>
      this.status.set(parameterName, parameterValue),
    );
    wire.on('backendKeyData', ({ processID, secretKey }) => {
      this.cancelKey.writeInt32BE(processID, 0);
      this.cancelKey.writeInt32BE(secretKey, 4);
    });
  }

  onceClosed(listener: () => void): void {
    getWire(this).stream.once('close', listener);
  }

  /** Must be called before the server says more: from then on pg reads nothing. */
  leaveSocket(): Socket {
    const { stream } = getWire(this);
    stream.pause();
    stream.removeAllListeners('data');
    return stream;
  }
}

/** Passes a cancel request on. The server closes as soon as the signal is out. */
export async function requestCancel(
  settings: ClientConfig,
  key: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const wire = getWire(new Client(settings));
  const send = () => wire.stream.write(encodeCancel(key));
  const giveUp = () => wire.stream.destroy();
  signal.addEventListener('abort', giveUp);
  wire.on('connect', () => (settings.ssl ? wire.requestSsl() : send()));
  wire.on('sslconnect', send);
  // Not reported: the sender of a cancel request gets no answer in any case.
  wire.on('error', giveUp);
  await new Promise<void>(resolve => {
    wire.on('end', resolve);
    wire.connect(settings.port!, settings.host!);
  });
  signal.removeEventListener('abort', giveUp);
}
