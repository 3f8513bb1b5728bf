import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { TLSSocket, type TLSSocketOptions } from 'node:tls';
import { secureContext, type TlsMode } from '../certificates';
import { delay } from '../delay';
import type { Branch } from '../branch';
import type { CredentialAuthority } from '../credentialAuthority';
import type { Compute } from './compute';
import type { Login, RefusedLogin } from './logins';
import type { RefusalKind } from './refusals';
import { openUpstream, UpstreamRefusal, type Upstream } from './upstream';
import {
  authenticationCleartextPassword,
  ConnectionLost,
  peekByte,
  readPassword,
  readStartupPacket,
  REQUEST,
  splitMessages,
  startupParameters,
  textOf,
  withoutOptions,
  type StartupPacket,
} from './wire';

/**
 * What a client meets that begins TLS at once: it is taken, with the name of
 * the protocol or without it, or it is not, in all ways that are known.
 */
export type DirectTlsMode =
  'taken' | 'withoutAlpn' | 'closed' | 'reset' | 'silent' | 'answered';

/**
 * What becomes of the `options` of a client's startup packet: they hold, and
 * the server says so (as of Postgres 18) or not, or they do not, in all ways
 * that are known.
 */
export type SessionOptionsMode =
  | 'taken'
  | 'unreported'
  | 'ignored'
  | 'refused'
  | 'closed'
  | 'reset'
  | 'silent';

/** What both sides call what they speak within TLS, as it goes over the wire. */
const POSTGRES_PROTOCOL = Buffer.from('\x0apostgresql');

/** How TLS begins. */
const TLS_HANDSHAKE = 0x16;

/** Thrown where a login ends; the client is told by the one who catches it. */
class Refusal extends Error {
  readonly kind: RefusalKind;
  readonly variant?: number;

  constructor(kind: RefusalKind, variant?: number) {
    super(kind);
    this.kind = kind;
    this.variant = variant;
  }
}

/** What a session needs of the endpoint that it is at. */
export interface SessionHost {
  readonly authority: CredentialAuthority;
  readonly branch: Branch;
  readonly compute: Compute;
  readonly isDisabled: (host: string) => boolean;
  readonly serverNames: string[];
  readonly tls: TlsMode;
  readonly directTls: DirectTlsMode;
  readonly sessionOptions: SessionOptionsMode;
  readonly requireSni: boolean;
  readonly loginLatencyMs: number;
  /** Resolves when the endpoint is awake. */
  reachable(): Promise<void>;
  /** Whether there is a connection left for it. */
  admit(session: Session): boolean;
  /** The refusal that a test wants next. */
  nextScripted(): { kind: RefusalKind; variant?: number } | undefined;
  /** Notes a refusal, and words it. */
  refusal(
    kind: RefusalKind,
    variant: number | undefined,
    session: Session,
  ): Buffer;
  refused(kind: RefusedLogin['kind'], code: string, user: string): void;
  loggedIn(login: Login): void;
  emit(event: 'attempt', attempt: { user: string }): boolean;
  emit(event: 'directTls'): boolean;
  emit(event: 'sessionOptions', options: string): boolean;
  emit(event: 'statement', sql: string): boolean;
  listenerCount(event: 'statement'): number;
}

/** One client's connection, from its first byte to its last. */
export class Session {
  readonly raw: Socket;
  /** Takes one of the endpoint's connections, or is about to. */
  admitted = false;
  user = '';
  database = '';
  readonly #gateway: SessionHost;
  #serverName?: string;
  #socket: Socket;
  #upstream?: Upstream;

  constructor(raw: Socket, gateway: SessionHost) {
    this.raw = raw;
    this.#socket = raw;
    this.#gateway = gateway;
    // Resets are part of the game; 'close' follows.
    raw.on('error', () => {});
    raw.on('close', () => this.#upstream?.socket.destroy());
  }

  get processId(): number | undefined {
    return this.#upstream?.processId;
  }

  async serve(): Promise<void> {
    try {
      await this.#gateway.reachable();
      const startup = await this.#negotiate();
      if (startup) await this.#login(startup);
    } catch (error) {
      if (error instanceof Refusal) this.#refuse(error);
      else if (error instanceof UpstreamRefusal) {
        this.#gateway.refused('upstream', error.code, this.user);
        this.#end(error.response);
      } else this.raw.destroy();
    }
  }

  /** As a server does that is told to shut down during a login. */
  shutDown(): void {
    // Before its startup packet a client understands no error message.
    if (this.user) this.#refuse(new Refusal('shuttingDown'));
    else this.cut('close');
  }

  /** No message, no goodbye. */
  cut(mode: 'reset' | 'close'): void {
    this.#upstream?.socket.destroy();
    if (mode === 'reset') this.raw.resetAndDestroy();
    else this.raw.destroy();
  }

  /** Up to the startup packet; without one, this was a cancel request. */
  async #negotiate(): Promise<StartupPacket | undefined> {
    if ((await peekByte(this.raw)) === TLS_HANDSHAKE) {
      await this.#answerDirectTls();
    }
    for (;;) {
      const packet = await readStartupPacket(this.#socket);
      switch (packet.code) {
        case REQUEST.ssl:
          await this.#answerSslRequest();
          break;
        case REQUEST.gss:
          this.#socket.write('N');
          break;
        case REQUEST.cancel:
          this.#forwardCancel(packet);
          return undefined;
        default:
          return packet;
      }
    }
  }

  async #answerDirectTls(): Promise<void> {
    const { directTls, tls } = this.#gateway;
    this.#gateway.emit('directTls');
    switch (tls === 'off' ? 'closed' : directTls) {
      case 'taken':
      case 'withoutAlpn':
        return this.#beginTls(tls, directTls === 'taken');
      case 'silent':
        // It would not notice the end of what it does not read.
        await once(this.raw.resume(), 'close');
        break;
      case 'reset':
        this.raw.resetAndDestroy();
        break;
      case 'answered':
        this.#end(this.#gateway.refusal('plaintext', undefined, this));
        break;
      case 'closed':
    }
    throw new ConnectionLost();
  }

  async #answerSslRequest(): Promise<void> {
    const mode = this.#gateway.tls;
    if (mode === 'off') {
      this.raw.write('N');
      return;
    }
    const context = await secureContext(mode);
    this.raw.write('S');
    this.#wrap({ secureContext: context });
  }

  async #beginTls(mode: TlsMode, named: boolean): Promise<void> {
    this.#wrap({
      secureContext: await secureContext(mode),
      ...(named && { ALPNProtocols: POSTGRES_PROTOCOL }),
    });
  }

  #wrap(options: TLSSocketOptions): void {
    this.#socket = new TLSSocket(this.raw, { ...options, isServer: true });
    this.#socket.on('error', () => this.raw.destroy());
  }

  #forwardCancel({ bytes }: StartupPacket): void {
    const { host, port } = this.#gateway.branch.server;
    const upstream = connect(port, host);
    upstream.on('error', () => {});
    // The server closes once the signal is out; only then may the client go on.
    upstream.on('close', () => this.#socket.destroySoon());
    upstream.resume().end(bytes);
  }

  async #login(startup: StartupPacket): Promise<void> {
    const parameters = startupParameters(startup);
    this.user = parameters.user ?? '';
    this.database = parameters.database ?? this.user;
    this.#checkTransport();
    if (parameters.options) await this.#answerOptions(parameters.options);

    this.#socket.write(authenticationCleartextPassword());
    const password = await readPassword(this.#socket);
    this.#gateway.emit('attempt', { user: this.user });
    await delay(this.#gateway.loginLatencyMs);
    const tokenId = await this.#checkLogin(password);

    const upstream = await this.#openUpstream(startup);
    if (!this.#socket.writable) {
      // Dropped, or gone by itself, while its login was under way.
      upstream.socket.destroy();
      return;
    }
    this.#gateway.loggedIn({
      user: this.user,
      database: this.database,
      applicationName: parameters.application_name,
      tokenId,
      at: Date.now(),
    });
    this.#join(upstream);
  }

  #checkTransport(): void {
    if (!(this.#socket instanceof TLSSocket)) throw new Refusal('plaintext');
    // The types know servername on the client's side only.
    const { servername } = this.#socket as { servername?: string | false };
    if (this.#gateway.requireSni && !servername) throw new Refusal('noSni');
    if (!servername) return;
    this.#gateway.serverNames.push(servername);
    this.#serverName = servername;
  }

  async #answerOptions(options: string): Promise<void> {
    this.#gateway.emit('sessionOptions', options);
    switch (this.#gateway.sessionOptions) {
      case 'refused':
        throw new Refusal('startupOptions');
      case 'silent':
        // It would not notice the end of what it does not read.
        await once(this.#socket.resume(), 'close');
        throw new ConnectionLost();
      case 'reset':
        this.raw.resetAndDestroy();
        throw new ConnectionLost();
      case 'closed':
        throw new ConnectionLost();
      default:
    }
  }

  async #checkLogin(password: string): Promise<string> {
    const scripted = this.#gateway.nextScripted();
    if (scripted) throw new Refusal(scripted.kind, scripted.variant);

    const { problem, subject, tokenId } =
      await this.#gateway.authority.check(password);
    if (problem) throw new Refusal(problem);
    if (subject !== this.user) throw new Refusal('wrongIdentity');
    if (this.#serverName && this.#gateway.isDisabled(this.#serverName))
      throw new Refusal('externalAuthorization');

    await this.#awaitCompute();
    const role = await this.#gateway.branch.role(this.user);
    if (role === 'missing') throw new Refusal('missingRole');
    // A role without an identity behind it has no OAuth login.
    if (role === 'plain') throw new Refusal('wrongIdentity');
    // Whether the platform has this database is not known; a client that
    // relies on it would break where it does not.
    if (this.database === 'postgres') throw new Refusal('missingDatabase');
    if (!this.#gateway.admit(this)) throw new Refusal('tooManyConnections');
    return tokenId!;
  }

  async #awaitCompute(): Promise<void> {
    const { compute } = this.#gateway;
    const startingUp = compute.meanwhile === 'startingUp';
    const awake = compute.wake();
    if (startingUp) throw new Refusal('startingUp');
    await awake;
  }

  async #openUpstream(startup: StartupPacket): Promise<Upstream> {
    const { server, rolePassword } = this.#gateway.branch;
    const { sessionOptions } = this.#gateway;
    try {
      return await openUpstream({
        host: server.host,
        port: server.port,
        user: this.user,
        password: rolePassword,
        database: this.database,
        startupPacket:
          sessionOptions === 'ignored'
            ? withoutOptions(startup)
            : startup.bytes,
        isReported: name =>
          name !== 'search_path' || sessionOptions !== 'unreported',
      });
    } catch (error) {
      if (error instanceof UpstreamRefusal) throw error;
      throw new Refusal('computeUnreachable');
    }
  }

  #join(upstream: Upstream): void {
    this.#upstream = upstream;
    upstream.socket.on('close', () => this.#socket.destroySoon());
    this.#socket.write(upstream.greeting);
    if (this.#gateway.listenerCount('statement') > 0) this.#overhear();
    this.#socket.pipe(upstream.socket).pipe(this.#socket);
  }

  /** Of simple queries only, which come in one piece. */
  #overhear(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      for (const { type, bytes } of splitMessages(chunk).messages) {
        if (type === 'Q') this.#gateway.emit('statement', textOf(bytes));
      }
    });
  }

  #refuse({ kind, variant }: Refusal): void {
    this.#end(this.#gateway.refusal(kind, variant, this));
  }

  #end(response: Buffer): void {
    this.#socket.write(response);
    this.#socket.destroySoon();
  }
}
