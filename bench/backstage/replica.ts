import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { JsonObject } from '@backstage/types';
import getPort from 'get-port';

/** What the process tells the one who forked it, one of these at a time. */
export interface Report {
  loaded?: true;
  started?: true;
  failure?: string;
}

export interface ReplicaOptions {
  /** Adds the module. */
  lakebase: boolean;
  database: JsonObject;
  /** Files for the catalog to read. */
  catalogFiles?: string[];
  signal: AbortSignal;
}

const HOST = '127.0.0.1';
const ROOT = join(__dirname, '..', '..');
const CONFIG = join(__dirname, 'app-config.yaml');

/** Backstage waits for running tasks, and pools may take 10 s to close. */
const STOP_TIMEOUT_MS = 30_000;

/** Enough to see what a process said before it failed. */
const OUTPUT_TO_KEEP = 20_000;

/** A Backstage backend in a fresh process. */
export class Replica {
  readonly url: string;
  readonly #token = randomBytes(24).toString('hex');
  readonly #child: ChildProcess;
  readonly #signal: AbortSignal;
  #output = '';

  /** Resolves when all code is loaded, and nothing has been started yet. */
  static async load(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options, await getPort({ host: HOST }));
    await replica.#told('loaded');
    return replica;
  }

  private constructor(options: ReplicaOptions, port: number) {
    const { lakebase, database, catalogFiles = [], signal } = options;
    this.url = `http://${HOST}:${port}`;
    this.#signal = signal;
    const locations = catalogFiles.map(target => ({ type: 'file', target }));
    // A task that waits for its first run cannot be triggered.
    const indexing = locations.length > 0 && {
      APP_CONFIG_search_collators_catalog_schedule_initialDelay: '"0s"',
    };
    const args = ['--config', CONFIG, ...(lakebase ? ['--lakebase'] : [])];
    this.#child = fork(join(__dirname, 'backend.ts'), args, {
      execArgv: ['--import', pathToFileURL(require.resolve('tsx')).href],
      cwd: ROOT,
      // Ctrl-C is for this process, which stops the backend in its turn.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        ...process.env,
        NODE_ENV: 'production',
        SERVICE_TOKEN: this.#token,
        APP_CONFIG_backend_baseUrl: JSON.stringify(this.url),
        APP_CONFIG_backend_listen_port: JSON.stringify(port),
        APP_CONFIG_backend_database: JSON.stringify(database),
        APP_CONFIG_catalog_locations: JSON.stringify(locations),
        ...indexing,
      },
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', text => {
        this.#output = (this.#output + text).slice(-OUTPUT_TO_KEEP);
      });
    }
  }

  /** The end of what it has printed. */
  get output(): string {
    return this.#output;
  }

  /**
   * Starts it, until it says of itself that it is ready.
   *
   * @returns how long that took, in milliseconds.
   */
  async start(): Promise<number> {
    const begin = performance.now();
    const started = this.#told('started');
    this.#child.send('start');
    await started;
    await this.request('/.backstage/health/v1/readiness');
    return performance.now() - begin;
  }

  /** @throws unless the status is one of success. */
  async request(path: string, init: RequestInit = {}): Promise<unknown> {
    const response = await fetch(this.url + path, {
      ...init,
      signal: this.#signal,
      headers: { authorization: `Bearer ${this.#token}` },
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`${path} answered HTTP ${response.status}: ${text}`);
    }
    return text && JSON.parse(text);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exit;
    clearTimeout(patience);
  }

  #told(what: keyof Report): Promise<void> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const fail = (why: string) =>
        reject(new Error(`The backend ${why}:\n${this.#output}`));
      child.on('message', (report: Report) => {
        if (report[what]) resolve();
        if (report.failure) fail(`did not start: ${report.failure}`);
      });
      child.once('error', reject);
      child.once('exit', () => fail('has ended'));
      this.#signal.addEventListener('abort', () => fail('took too long'));
    });
  }
}
