import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import {
  startEmulator,
  startPostgresProcess,
  type Emulator,
  type PostgresServer,
} from '../../emulator';
import { targetOf } from '../../testbed/contenders';

export interface Sample {
  /** By `Date.now()`, which is the same for all processes of a machine. */
  at: number;
  /** Sockets at the gateway, logged in or not. */
  open: number;
  halfOpen: number;
  /** Since `watch()`. */
  mints: number;
  failedMints: number;
}

export interface Observed {
  samples: Sample[];
  mints: number;
  failedMints: number;
  /** Connections that logged in, and that ended. */
  logins: number;
  closed: number;
}

interface Watch {
  samples: Sample[];
  from: { mints: number; failed: number; logins: number };
  closed: number;
  on: boolean;
  stop(): void;
}

const SAMPLE_EVERY_MS = 50;

/** Lakebase in a process of its own, so that it doesn't slow its clients. */
class Laboratory {
  readonly #postgres: PostgresServer;
  readonly #emulator: Emulator;
  readonly #backends: Client;
  #mintLatencyMs = 0;
  #watch?: Watch;
  #looking?: Promise<void>;

  static async start(): Promise<Laboratory> {
    const postgres = await startPostgresProcess();
    const emulator = await startEmulator({ postgres });
    const { host, port, user, password } = postgres;
    const backends = new Client({ host, port, user, password });
    await backends.connect();
    return new Laboratory(postgres, emulator, backends);
  }

  constructor(postgres: PostgresServer, emulator: Emulator, backends: Client) {
    this.#postgres = postgres;
    this.#emulator = emulator;
    this.#backends = backends;
  }

  target() {
    return targetOf(this.#emulator);
  }

  /** A fresh day: nobody connected, no fault, nothing counted yet. */
  async prepare(options: {
    credentialLifeMs: number;
    mintLatencyMs: number;
    pluginIds: string[];
  }): Promise<void> {
    const { controlPlane, gateway, servicePrincipal } = this.#emulator;
    // What contenders have left behind would wait here for ever.
    await gateway.dropConnections('close');
    await gateway.drained();
    controlPlane.credentialLifeMs = options.credentialLifeMs;
    this.#mintLatencyMs = options.mintLatencyMs;
    this.outage(false);
    for (const pluginId of options.pluginIds) {
      await this.#emulator.query(
        `CREATE SCHEMA IF NOT EXISTS "${pluginId}"
         AUTHORIZATION "${servicePrincipal.clientId}"`,
      );
    }
  }

  /** Whether the workspace answers nothing but 503. */
  outage(on: boolean): void {
    const { controlPlane } = this.#emulator;
    controlPlane.recover();
    if (on) {
      controlPlane.answer('token', { status: 503 });
      controlPlane.answer('credentials', { status: 503 });
    } else if (this.#mintLatencyMs > 0) {
      controlPlane.answer('credentials', { latencyMs: this.#mintLatencyMs });
    }
  }

  async dropConnections(): Promise<void> {
    await this.#emulator.gateway.dropConnections();
  }

  /** Whether the gateway takes TLS at once, and options with the login. */
  takeShortcuts(on: boolean): void {
    const { gateway } = this.#emulator;
    gateway.directTls = on ? 'taken' : 'closed';
    gateway.sessionOptions = on ? 'taken' : 'refused';
  }

  /** Ends all connections; the next one wakes it up again. */
  async suspend(wakeDelayMs: number): Promise<void> {
    await this.#emulator.gateway.suspend({ wakeDelayMs });
  }

  /** Starts to count, and to look at the connections again and again. */
  watch(): void {
    this.#watch?.stop();
    const { gateway } = this.#emulator;
    const count = () => (watch.closed += 1);
    gateway.on('close', count);
    const watch: Watch = {
      samples: [],
      from: { ...this.#mints(), logins: gateway.logins.length },
      closed: 0,
      on: true,
      stop: () => {
        watch.on = false;
        gateway.off('close', count);
      },
    };
    this.#watch = watch;
    // Goes on until the watch ends; a failure of it should be seen.
    this.#looking = this.#look(watch).catch(error => console.error(error));
  }

  observed(): Observed {
    const watch = this.#watch!;
    watch.stop();
    const { mints, failed } = this.#mints();
    return {
      samples: watch.samples,
      mints: mints - watch.from.mints,
      failedMints: failed - watch.from.failed,
      logins: this.#emulator.gateway.logins.length - watch.from.logins,
      closed: watch.closed,
    };
  }

  async stop(): Promise<void> {
    this.#watch?.stop();
    await this.#emulator.stop();
    // It may be asked once more by a look that is under way.
    await this.#looking;
    await this.#backends.end();
    await this.#postgres.stop();
  }

  #mints() {
    const { controlPlane } = this.#emulator;
    const mints = controlPlane.count('credentials', { status: 200 });
    const answered = controlPlane.calls.filter(
      ({ route, status }) => route === 'credentials' && status !== undefined,
    );
    return { mints, failed: answered.length - mints };
  }

  async #look(watch: Watch): Promise<void> {
    while (watch.on) {
      await this.#sample(watch);
      await delay(SAMPLE_EVERY_MS);
    }
  }

  async #sample(watch: Watch): Promise<void> {
    const at = Date.now();
    const { mints, failed } = this.#mints();
    const open = this.#emulator.gateway.openConnections;
    const { rows } = await this.#backends.query<{ count: number }>(
      'SELECT count(*)::int FROM pg_stat_activity WHERE usename = $1',
      [this.#emulator.servicePrincipal.clientId],
    );
    watch.samples.push({
      at,
      open,
      halfOpen: Math.max(0, open - rows[0].count),
      mints: mints - watch.from.mints,
      failedMints: failed - watch.from.failed,
    });
  }
}

export type LaboratoryOperations = Pick<
  Laboratory,
  | 'target'
  | 'prepare'
  | 'outage'
  | 'dropConnections'
  | 'takeShortcuts'
  | 'suspend'
  | 'watch'
  | 'observed'
  | 'stop'
>;

export interface Request {
  id: number;
  operation: keyof LaboratoryOperations;
  args: unknown[];
}

export interface Reply {
  id: number;
  value?: unknown;
  error?: string;
}

async function serve() {
  const laboratory = await Laboratory.start();
  process.on('message', (request: Request) => {
    // Never rejects: what goes wrong is told to the caller.
    void answer(laboratory, request).then(reply => {
      process.send!(reply);
      if (request.operation === 'stop') process.disconnect();
    });
  });
  // Whoever started it is gone, and Postgres follows.
  process.on('disconnect', () => process.exit());
  process.send!({ id: 0 } satisfies Reply);
}

async function answer(
  laboratory: Laboratory,
  { id, operation, args }: Request,
): Promise<Reply> {
  const run = laboratory[operation].bind(laboratory) as (
    ...given: unknown[]
  ) => unknown;
  try {
    return { id, value: await run(...args) };
  } catch (error) {
    return { id, error: String(error) };
  }
}

if (process.send) void serve();
