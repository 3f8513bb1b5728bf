import { EventEmitter, once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Branch } from '../branch';
import type { TlsMode } from '../certificates';
import type { CredentialAuthority } from '../credentialAuthority';
import { listenOnLoopback, type LoopbackListener } from '../loopback';
import type { ServerClock } from '../serverClock';
import type { Backend } from './backend';
import { Compute, type SuspendOptions } from './compute';
import { REFUSALS, type RefusalKind } from './refusals';
import type { Login, RefusedLogin } from './logins';
import { Session, type SessionHost, type SessionOptionsMode } from './session';
import type { DirectTlsMode } from './transport';
import { errorResponse } from './wire';

export interface GatewayOptions {
  clock: ServerClock;
  authority: CredentialAuthority;
  /** What is behind the gateway's first host. */
  branch: Branch;
  /** Whether what is behind this host takes no connections. */
  isDisabled: (host: string) => boolean;
}

interface GatewayEvents {
  /** Somebody has dialled, and said nothing yet. */
  connection: [];
  /** It begins TLS at once. */
  directTls: [];
  /** Its startup packet has some. */
  sessionOptions: [options: string];
  /** Somebody who is logged in says something to Postgres. */
  statement: [sql: string];
  /** A password has come in. */
  attempt: [{ user: string }];
  login: [Login];
  refusal: [RefusedLogin];
  close: [];
}

/** A client that has stopped reading never sees the end of its connection. */
const PATIENCE_MS = 2_000;

interface ScriptedRefusal {
  kind: RefusalKind;
  variant?: number;
  left: number;
}

/**
 * The endpoint's front door: takes TLS, asks for the credential, checks it at
 * login only, and then hands the connection to the real Postgres.
 */
export class Gateway
  extends EventEmitter<GatewayEvents>
  implements SessionHost
{
  readonly host = 'localhost';
  /** Leads here as well: names are compared without regard to case. */
  readonly otherHost = 'LOCALHOST';
  /** What each client called the gateway, as far as it told. */
  readonly serverNames: string[] = [];
  readonly logins: Login[] = [];
  readonly refusals: RefusedLogin[] = [];
  readonly compute: Compute;

  tls: TlsMode = 'valid';
  /** Whether the platform takes it is not known. */
  directTls: DirectTlsMode = 'taken';
  /** This, too. */
  sessionOptions: SessionOptionsMode = 'taken';
  requireSni = true;
  loginLatencyMs = 0;
  /** Logins above this many open connections are refused. */
  connectionLimit?: number;
  /** Which variant of its REFUSALS each kind uses. */
  variant: Partial<Record<RefusalKind, number>> = {};

  readonly authority: CredentialAuthority;
  readonly isDisabled: (host: string) => boolean;

  readonly #sessions = new Set<Session>();
  readonly #branch: Branch;
  readonly #others = new Map<string, Backend>();
  /** Behind hosts that lead nowhere any more, too. */
  readonly #computes = new Map<string, Compute>();
  #hosts = 0;
  #scripted: ScriptedRefusal[] = [];
  #stall?: { ended: Promise<void>; end: () => void };
  #listener!: LoopbackListener;

  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    gateway.#listener = await listenOnLoopback(() =>
      createServer({ pauseOnConnect: true }, socket => gateway.#accept(socket)),
    );
    return gateway;
  }

  private constructor(options: GatewayOptions) {
    super();
    this.compute = new Compute(options.clock);
    this.authority = options.authority;
    this.#branch = options.branch;
    this.isDisabled = options.isDisabled;
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Sockets of clients, whether logged in or not yet. */
  get openConnections(): number {
    return this.#sessions.size;
  }

  /**
   * Gives a branch a host of its own. Of all names that lead here, without a
   * DNS server, only the case of their letters differs: names are compared
   * without regard to it, but a client sends its own.
   */
  addHost(backend: Backend): string {
    this.#hosts += 1;
    const host = [...this.host]
      .map((letter, index) =>
        (this.#hosts >> index) % 2 ? letter.toUpperCase() : letter,
      )
      .join('');
    if (host === this.otherHost) throw new Error('There is no host left');
    this.#others.set(host, backend);
    this.#computes.set(host, backend.compute);
    return host;
  }

  removeHost(host: string): void {
    this.#others.delete(host);
  }

  /** Resolves when no client is connected. */
  async drained(): Promise<void> {
    while (this.#sessions.size > 0) await once(this, 'close');
  }

  /** Refuses the next logins this way, whatever their token. */
  refuseNext(
    kind: RefusalKind,
    options: { times?: number; variant?: number } = {},
  ): void {
    const { times = 1, variant } = options;
    this.#scripted.push({ kind, variant, left: times });
  }

  /** Ends what refuseNext began. */
  refuseNoMore(): void {
    this.#scripted = [];
  }

  /** Refuses every credential minted until now, from its next login on. */
  revokeTokens(): void {
    this.authority.revokeAll();
  }

  /** While on, connections are accepted but nothing is read or answered. */
  stall(on: boolean): void {
    if (on === Boolean(this.#stall)) return;
    this.#stall?.end();
    this.#stall = undefined;
    if (!on) return;
    let end!: () => void;
    const ended = new Promise<void>(resolve => (end = resolve));
    this.#stall = { ended, end };
  }

  async suspend(options: SuspendOptions): Promise<void> {
    this.compute.suspend(options);
    await this.dropConnections();
  }

  /**
   * Ends every open connection: as the server does when it is shut down
   * (`terminate`), with a TCP reset, or by closing without a word. Those to
   * `host` only, if it is given.
   */
  async dropConnections(
    mode: 'terminate' | 'reset' | 'close' = 'terminate',
    host?: string,
  ): Promise<void> {
    const meant = [...this.#sessions].filter(
      ({ serverName }) => host === undefined || serverName === host,
    );
    await Promise.all(meant.map(session => this.#drop(session, mode)));
  }

  async stop(): Promise<void> {
    const closed = this.#listener.close();
    await this.dropConnections('close');
    await closed;
  }

  /** What is behind the host that a client names, or behind the first one. */
  backendAt(serverName: string | undefined): Backend {
    const other = serverName && this.#others.get(serverName);
    return other || { branch: this.#branch, compute: this.compute };
  }

  /** The machine behind a host, now or while it led somewhere. */
  computeAt(host: string): Compute {
    return this.#computes.get(host) ?? this.compute;
  }

  /** @internal */
  reachable(): Promise<void> {
    return this.#stall?.ended ?? Promise.resolve();
  }

  /** @internal */
  admit(session: Session): boolean {
    const others = [...this.#sessions].filter(({ admitted }) => admitted);
    session.admitted = others.length < (this.connectionLimit ?? Infinity);
    return session.admitted;
  }

  /** @internal */
  nextScripted(): ScriptedRefusal | undefined {
    const scripted = this.#scripted.find(({ left }) => left > 0);
    if (scripted) scripted.left -= 1;
    return scripted;
  }

  /** @internal */
  refusal(
    kind: RefusalKind,
    variant = this.variant[kind] ?? 0,
    { user, database }: Pick<Session, 'user' | 'database'>,
  ): Buffer {
    const chosen = REFUSALS[kind][variant];
    this.refused(kind, chosen.code, user);
    return errorResponse(chosen, user, database);
  }

  /** @internal */
  refused(kind: RefusedLogin['kind'], code: string, user: string): void {
    const refused = { kind, code, user, at: Date.now() };
    this.refusals.push(refused);
    this.emit('refusal', refused);
  }

  /** @internal */
  loggedIn(login: Login): void {
    this.logins.push(login);
    this.emit('login', login);
  }

  #accept(socket: Socket): void {
    if (this.compute.meanwhile === 'refuse') {
      void this.compute.wake();
      socket.resetAndDestroy();
      return;
    }
    this.emit('connection');
    const session = new Session(socket, this);
    this.#sessions.add(session);
    socket.once('close', () => {
      this.#sessions.delete(session);
      this.emit('close');
    });
    // Never rejects: whatever goes wrong ends the session.
    void session.serve();
  }

  async #drop(
    session: Session,
    mode: 'terminate' | 'reset' | 'close',
  ): Promise<void> {
    const closed = once(session.raw, 'close');
    const { processId } = session;
    if (mode !== 'terminate') session.cut(mode);
    else if (!processId) session.shutDown();
    if (processId) await session.backend.branch.terminate(processId);
    const patience = setTimeout(() => session.cut('close'), PATIENCE_MS);
    await closed;
    clearTimeout(patience);
  }
}
