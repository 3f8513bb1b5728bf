import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { text } from 'node:stream/consumers';
import type { CredentialAuthority } from '../credentialAuthority';
import type { IdentityProvider } from '../identityProvider';
import { listenOnLoopback, type LoopbackListener } from '../loopback';
import type { ServerClock } from '../serverClock';
import { CallLog, parseBody, type Call } from './callLog';
import { BranchChanges, type BranchStorage } from './branchChanges';
import type { Catalog } from './catalog';
import { applyFault, FaultScript, type Fault, type Outcome } from './faults';
import { Federation } from './federation';
import type { Instance } from './instances';
import { Operations } from './operations';
import { bearerTokenOf, type Platform } from './platform';
import { Registrations } from './registrations';
import { usualReply } from './replies';
import type { Route } from './routes';
import type { Workspace } from './workspace';
import { tokenEndpoint } from './workspaceTokens';
import { Warehouse } from '../warehouse/warehouse';

export interface ControlPlaneOptions {
  /** Serves https with this certificate, else http. */
  certificate?: { key: string; cert: string };
  port?: number;
  credentialLifeMs: number;
  workspaceTokenLifeMs: number;
  clock: ServerClock;
  workspace: Workspace;
  authority: CredentialAuthority;
  catalog: Catalog;
  storage: BranchStorage;
  /** Whether a branch has a database of this name. */
  hasDatabase: (branch: string, name: string) => Promise<boolean>;
  instance: Instance;
  identityProvider: IdentityProvider;
}

/** The workspace's REST API, as far as a client of Lakebase needs it. */
export class ControlPlane implements Platform {
  /** Caps what a caller may ask for; down to milliseconds. */
  credentialLifeMs: number;
  workspaceTokenLifeMs: number;
  workspaceId = '1234567890123456';
  unified = false;
  readonly workspace: Workspace;
  readonly authority: CredentialAuthority;
  /** Projects, branches and endpoints. */
  readonly catalog: Catalog;
  readonly operations = new Operations();
  /** What may be done to branches, and its limits. */
  readonly branchChanges: BranchChanges;
  /** What Unity Catalog shows of databases. */
  readonly registrations: Registrations;
  /** Of SQL, with the account's `system` catalog. */
  readonly warehouse: Warehouse;
  readonly instance: Instance;
  readonly identityProvider: IdentityProvider;
  readonly federation: Federation;
  readonly #clock: ServerClock;
  readonly #certificate?: { key: string; cert: string };
  readonly #log = new CallLog();
  readonly #faults = new FaultScript();
  readonly #servers: Server[] = [];
  #listener!: LoopbackListener;

  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    const controlPlane = new ControlPlane(options);
    controlPlane.#listener = await listenOnLoopback(
      () => controlPlane.#createServer(),
      options.port,
    );
    return controlPlane;
  }

  private constructor(options: ControlPlaneOptions) {
    this.credentialLifeMs = options.credentialLifeMs;
    this.workspaceTokenLifeMs = options.workspaceTokenLifeMs;
    this.workspace = options.workspace;
    this.authority = options.authority;
    this.catalog = options.catalog;
    this.branchChanges = new BranchChanges(
      options.clock,
      options.catalog,
      this.operations,
      options.storage,
    );
    this.registrations = new Registrations({
      catalog: options.catalog,
      operations: this.operations,
      now: () => options.clock.now(),
      hasDatabase: options.hasDatabase,
    });
    this.warehouse = new Warehouse({
      clock: options.clock,
      catalog: options.catalog,
      calls: this.#log.calls,
      workspaceId: () => this.workspaceId,
    });
    this.instance = options.instance;
    this.identityProvider = options.identityProvider;
    this.federation = new Federation(options.identityProvider);
    this.#clock = options.clock;
    this.#certificate = options.certificate;
  }

  get url(): string {
    const { port } = this.#listener;
    return this.#certificate
      ? `https://localhost:${port}`
      : `http://127.0.0.1:${port}`;
  }

  /** Shifts the platform's clock: Date, iat, exp and expire_time together. */
  get clockOffsetMs(): number {
    return this.#clock.offsetMs;
  }

  set clockOffsetMs(offsetMs: number) {
    this.#clock.offsetMs = offsetMs;
  }

  get calls(): readonly Call[] {
    return this.#log.calls;
  }

  count(route: Route, filter: { status?: number } = {}): number {
    return this.calls.filter(
      call =>
        call.route === route &&
        (filter.status === undefined || call.status === filter.status),
    ).length;
  }

  /** Answers this route so from now on, or for the next `times` calls. */
  answer(route: Route, fault: Fault, options: { times?: number } = {}): void {
    this.#faults.add(route, fault, options.times ?? Infinity);
  }

  recover(route?: Route): void {
    this.#faults.clear(route);
  }

  /** The next call of the route, once it was answered (or has come in). */
  once(
    route: Route,
    event: 'answered' | 'received' = 'answered',
  ): Promise<Call> {
    return this.#log.next(route, event);
  }

  revokeWorkspaceTokens(): void {
    this.workspace.revokeTokens();
  }

  /** Of any identity: what the CLI or a company's own hook would hand out. */
  issueWorkspaceToken(
    userName: string,
    { lifeMs = this.workspaceTokenLifeMs }: { lifeMs?: number } = {},
  ): string {
    return this.workspace.issueToken(userName, lifeMs);
  }

  createPersonalAccessToken(userName: string): string {
    return this.workspace.issueToken(userName, Infinity, 'dapi');
  }

  /**
   * Lets this subject of the identity provider in: as the service principal
   * `clientId`, which the caller must name then; or, account-wide, as the
   * identity that is called like the subject, unless `userName` tells another.
   */
  addFederationPolicy({
    clientId,
    subject,
    userName = clientId ?? subject,
    audience = tokenEndpoint(this.url),
  }: {
    clientId?: string;
    subject: string;
    userName?: string;
    audience?: string;
  }): void {
    this.workspace.checkIdentity(userName);
    const { issuer } = this.identityProvider;
    this.federation.add({ issuer, subject, audience, clientId, userName });
  }

  async stop(): Promise<void> {
    const closed = this.#listener.close();
    for (const server of this.#servers) server.closeAllConnections();
    await closed;
    await this.operations.settled();
    await this.warehouse.stop();
  }

  #createServer(): Server {
    const handler = (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch(() => {
        // The caller went away within its request.
        response.destroy();
      });
    };
    const server = this.#certificate
      ? createHttpsServer(this.#certificate, handler)
      : createHttpServer(handler);
    this.#servers.push(server);
    return server;
  }

  async #handle(request: IncomingMessage, response: ServerResponse) {
    const body = await text(request);
    const url = new URL(request.url!, this.url);
    const token = bearerTokenOf(request.headers);
    const call = this.#log.add(request, url, body, {
      at: this.#clock.now(),
      caller: token && this.workspace.userOf(token),
    });
    response.once('finish', () =>
      this.#log.answered(call, response.statusCode),
    );
    this.#send(
      await this.#outcomeOf(call, {
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body: parseBody(request, body) ?? {},
      }),
      response,
    );
  }

  #outcomeOf(
    { route }: Call,
    request: Parameters<typeof usualReply>[1],
  ): Promise<Outcome> {
    const usual = () => usualReply(route, request, this);
    const fault = route && this.#faults.next(route);
    return fault ? applyFault(route, fault, usual) : usual();
  }

  #send(outcome: Outcome, response: ServerResponse): void {
    if (outcome === 'hang') return;
    if (outcome === 'reset') {
      // Only a bare socket knows how to send a reset; with TLS it just closes.
      if (this.#certificate) response.socket?.destroy();
      else response.socket?.resetAndDestroy();
      return;
    }
    const asIs = typeof outcome.body === 'string';
    response.writeHead(outcome.status, {
      Date: new Date(this.#clock.now()).toUTCString(),
      'Content-Type': asIs ? 'text/plain' : 'application/json',
      ...(this.workspaceId && { 'X-Databricks-Org-Id': this.workspaceId }),
      ...outcome.headers,
    });
    response.end(asIs ? outcome.body : JSON.stringify(outcome.body));
  }
}
