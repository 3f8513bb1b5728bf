import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { delay } from '../delay';
import type { CredentialAuthority } from '../credentialAuthority';
import type { Backend } from './backend';
import type { Login, RefusedLogin } from './logins';
import { Refusal } from './refusal';
import type { RefusalKind } from './refusals';
import { Transport, type TransportHost } from './transport';
import { openUpstream, UpstreamRefusal, type Upstream } from './upstream';
import {
  authenticationCleartextPassword,
  ConnectionLost,
  readPassword,
  REQUEST,
  splitMessages,
  startupParameters,
  textOf,
  withoutOptions,
  type StartupPacket,
} from './wire';

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

/** What a session needs of the endpoint that it is at. */
export interface SessionHost extends TransportHost {
  readonly authority: CredentialAuthority;
  readonly isDisabled: (host: string) => boolean;
  readonly serverNames: string[];
  readonly sessionOptions: SessionOptionsMode;
  readonly requireSni: boolean;
  readonly loginLatencyMs: number;
  /** What is behind the host that a client names, or behind the first one. */
  backendAt(serverName: string | undefined): Backend;
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
  emit(event: 'directTls'): boolean;
  emit(event: 'attempt', attempt: { user: string }): boolean;
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
  readonly #transport: Transport;
  #upstream?: Upstream;

  constructor(raw: Socket, gateway: SessionHost) {
    this.raw = raw;
    this.#transport = new Transport(raw, gateway);
    this.#gateway = gateway;
    // Resets are part of the game; 'close' follows.
    raw.on('error', () => {});
    raw.on('close', () => this.#upstream?.socket.destroy());
  }

  /** What the client called the gateway, as far as it told. */
  get serverName(): string | undefined {
    return this.#transport.serverName;
  }

  /** Where it leads, as far as the client has said. */
  get backend(): Backend {
    return this.#gateway.backendAt(this.#transport.serverName);
  }

  get processId(): number | undefined {
    return this.#upstream?.processId;
  }

  get #socket(): Socket {
    return this.#transport.socket;
  }

  async serve(): Promise<void> {
    try {
      await this.#gateway.reachable();
      const packet = await this.#transport.startup();
      if (packet.code === REQUEST.cancel) await this.#forwardCancel(packet);
      else await this.#login(packet);
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

  async #forwardCancel({ bytes }: StartupPacket): Promise<void> {
    const { host, port } = await this.backend.branch.server();
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
    const { isSecure, serverName } = this.#transport;
    if (!isSecure) throw new Refusal('plaintext');
    if (serverName) this.#gateway.serverNames.push(serverName);
    else if (this.#gateway.requireSni) throw new Refusal('noSni');
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
    if (
      this.#transport.serverName &&
      this.#gateway.isDisabled(this.#transport.serverName)
    )
      throw new Refusal('externalAuthorization');

    await this.#awaitCompute();
    const role = await this.backend.branch.role(this.user);
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
    const { compute } = this.backend;
    const startingUp = compute.meanwhile === 'startingUp';
    const awake = compute.wake();
    if (startingUp) throw new Refusal('startingUp');
    await awake;
  }

  async #openUpstream(startup: StartupPacket): Promise<Upstream> {
    const { branch } = this.backend;
    const { sessionOptions } = this.#gateway;
    try {
      const { host, port } = await branch.server();
      return await openUpstream({
        host,
        port,
        user: this.user,
        password: branch.rolePassword,
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
