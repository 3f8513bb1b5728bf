import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { JsonObject } from '@backstage/types';
import getPort from 'get-port';
import { waitFor } from '../../testbed/waiting';

/** Why a plugin did not start. */
export interface Failure {
  plugin: string;
  /** The error and its causes. */
  reason: string;
}

/** What the process tells the one who forked it, one of these at a time. */
export interface Report {
  loaded?: true;
  /** Empty: it is ready. */
  failures?: Failure[];
  unhandled?: string;
}

export interface BackendOptions {
  /** Also the `application_name` of its connections. */
  name: string;
  database: JsonObject;
  /** What the proxy plugin leads to. */
  lendingUrl: string;
  signal: AbortSignal;
}

const HOST = '127.0.0.1';
const ROOT = join(__dirname, '..', '..');
const CONFIG = join(__dirname, 'app-config.yaml');

/** Backstage waits for running tasks, and its pools may take 10 s to close. */
const STOP_TIMEOUT_MS = 30_000;

/** Enough to see what a process said before it failed. */
const OUTPUT_TO_KEEP = 200_000;

/** A backend in a process of its own, as a replica is. */
export class BackendProcess {
  readonly name: string;
  readonly url: string;
  readonly serviceToken: string;
  readonly unhandled: string[] = [];
  /** All code is there: what is left is the backend's own start. */
  readonly loaded: Promise<unknown>;
  readonly #child: ChildProcess;
  readonly #signal: AbortSignal;
  #output = '';

  static async fork(options: BackendOptions): Promise<BackendProcess> {
    return new BackendProcess(options, await getPort({ host: HOST }));
  }

  private constructor(options: BackendOptions, port: number) {
    this.name = options.name;
    this.url = `http://${HOST}:${port}`;
    this.serviceToken = randomBytes(24).toString('hex');
    this.#signal = options.signal;
    this.#child = fork(join(__dirname, 'backend.ts'), ['--config', CONFIG], {
      execArgv: ['--import', pathToFileURL(require.resolve('tsx')).href],
      cwd: ROOT,
      // Ctrl-C is for this process, which stops the backend in its turn.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        ...process.env,
        SERVICE_TOKEN: this.serviceToken,
        LENDING_URL: options.lendingUrl,
        APP_CONFIG_backend_baseUrl: JSON.stringify(this.url),
        APP_CONFIG_backend_listen_port: JSON.stringify(port),
        APP_CONFIG_backend_database: JSON.stringify(options.database),
      },
    });
    this.#child.on('message', ({ unhandled }: Report) => {
      if (unhandled) this.unhandled.push(unhandled);
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', text => {
        this.#output = (this.#output + text).slice(-OUTPUT_TO_KEEP);
      });
    }
    this.loaded = this.#told('loaded');
  }

  /** The end of what it has printed. */
  get output(): string {
    return this.#output;
  }

  /** What kept it from starting; nothing when it is ready. */
  async start(): Promise<Failure[]> {
    const started = this.#told('failures');
    this.#child.send('start');
    const { failures } = await started;
    return failures!;
  }

  /**
   * Ends it as an orchestrator does.
   *
   * @throws when it does not end by itself, or not well.
   */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode) return;
    const exit = once(child, 'exit') as Promise<[number | null]>;
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const [code] = await exit;
    clearTimeout(patience);
    if (code !== 0) {
      throw new Error(`${this.name} did not stop well (exit code ${code})`);
    }
  }

  #told(what: keyof Report): Promise<Report> {
    const child = this.#child;
    const told = new Promise<Report>((resolve, reject) => {
      child.on('message', (report: Report) => {
        if (report[what]) resolve(report);
      });
      child.once('error', reject);
      child.once('exit', () =>
        reject(new Error(`${this.name} has ended:\n${this.#output}`)),
      );
    });
    return waitFor(
      () => `${this.name} to be ${what}`,
      () => told,
      this.#signal,
    );
  }
}
