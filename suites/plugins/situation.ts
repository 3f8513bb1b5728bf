import { setMaxListeners } from 'node:events';
import type { JsonObject } from '@backstage/types';
import type { PostgresServer } from '../../emulator';
import { poll, thenStop } from '../../testbed/waiting';
import { BackendProcess, type Failure } from './backendProcess';
import { type Backstage, expect } from './check';
import { CHECKS } from './checks';
import { signIn } from './checks/auth';
import { countBooks } from './checks/catalog';
import { Client } from './client';
import { AS_A_WHOLE, Findings } from './findings';
import type { Installation } from './installation';
import { BOOKS } from './shelf';

/** What every situation makes use of. */
export interface Bench {
  postgres: PostgresServer;
  lendingUrl: string;
  signal: AbortSignal;
}

/** How a backend's start went. */
export interface Launch {
  name: string;
  failures: Failure[];
}

/** What each check returned, to be found again after a restart. */
export type Kept = Map<string, unknown>;

/** Several times what a slow machine takes to fill and index the catalog. */
const USE_TIMEOUT_MS = 5 * 60_000;

/** Backends on one database, from their start to their end. */
export class Situation {
  readonly findings = new Findings();
  readonly #installation: Installation;
  readonly #bench: Bench;
  readonly #backends = new Set<BackendProcess>();

  constructor(installation: Installation, bench: Bench) {
    this.#installation = installation;
    this.#bench = bench;
  }

  /**
   * Does `work`, and ends the backends that it has started.
   *
   * @throws only when the whole bench is to stop.
   */
  run<T>(work: () => Promise<T>): Promise<T | undefined> {
    return thenStop(
      () => this.#attempt(AS_A_WHOLE, work),
      () => this.#end(),
    );
  }

  /** Starts backends at the same moment, and stops those that fail. */
  async launch(
    names: string[],
    database: (name: string) => JsonObject,
  ): Promise<Launch[]> {
    const backends = await Promise.all(
      names.map(name => this.#load(name, database(name))),
    );
    return Promise.all(
      backends.map(async backend => {
        const failures = await backend.start();
        if (failures.length > 0) {
          this.#backends.delete(backend);
          await backend.stop();
        }
        return { name: backend.name, failures };
      }),
    );
  }

  /** Tries out all plugins on what is running, and waits for a new credential. */
  async use(kept: Kept = new Map()): Promise<Kept> {
    const timeout = AbortSignal.timeout(USE_TIMEOUT_MS);
    const signal = AbortSignal.any([this.#bench.signal, timeout]);
    // Each request listens to it.
    setMaxListeners(0, signal);
    const installation = this.#installation;
    const rotations = [...this.#backends].map(({ name }) =>
      this.#attempt(AS_A_WHOLE, () => installation.rotation(name, signal)),
    );

    const backstages = await Promise.all(
      [...this.#backends].map(backend => enter(backend, signal)),
    );
    await catalogFilled(backstages[0], signal);
    const keptNow: Kept = new Map();
    await Promise.all(
      CHECKS.flatMap(({ plugin, run }) =>
        backstages.map((there, index) =>
          this.#attempt(plugin, async () => {
            const here = backstages.at(index - 1)!;
            const stage = { here, there, installation, signal };
            keptNow.set(plugin, await run(stage, kept.get(plugin)));
          }),
        ),
      ),
    );
    await Promise.all(rotations);
    return keptNow;
  }

  /** @throws when one of the backends lets somebody in with this token. */
  async refuses(token: string): Promise<void> {
    for (const { name, url } of this.#backends) {
      const path = `${url}/api/catalog/entities/by-name/user/default/reader`;
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(path, { headers });
      await response.text();
      const { status } = response;
      expect(status === 401, `${name} to refuse a token of another portal`);
    }
  }

  async #load(name: string, database: JsonObject): Promise<BackendProcess> {
    const { lendingUrl, signal } = this.#bench;
    const options = { name, database, lendingUrl, signal };
    const backend = await BackendProcess.fork(options);
    this.#backends.add(backend);
    await backend.loaded;
    return backend;
  }

  async #end(): Promise<void> {
    const backends = [...this.#backends];
    await Promise.all(
      backends.map(backend => this.#attempt(AS_A_WHOLE, () => backend.stop())),
    );
    const { refusedLogins, emulator } = this.#installation;
    const unhandled = backends.flatMap(backend => backend.unhandled);
    this.findings.add(AS_A_WHOLE, ...refusedLogins, ...unhandled);
    if (this.findings.problems.length > 0) {
      this.findings.output.push(...backends.map(({ output }) => output));
    }
    await emulator.gateway.drained();
  }

  /** Does something that counts for a row; when it fails, the rest goes on. */
  async #attempt<T>(
    row: string,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      const result = await work();
      this.findings.add(row);
      return result;
    } catch (error) {
      this.#bench.signal.throwIfAborted();
      this.findings.add(row, (error as Error).message);
      return undefined;
    }
  }
}

async function enter(
  { name, url, serviceToken }: BackendProcess,
  signal: AbortSignal,
): Promise<Backstage> {
  const service = new Client(url, serviceToken, signal);
  return { name, service, user: await signIn(service) };
}

const catalogFilled = (backstage: Backstage, signal: AbortSignal) =>
  poll(
    'the catalog to be filled',
    async () => {
      const books = await countBooks(backstage);
      return books < BOOKS.length ? `${books} of ${BOOKS.length}` : undefined;
    },
    signal,
  );
