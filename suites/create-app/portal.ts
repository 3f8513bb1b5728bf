import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Address } from '../../testbed/backend';
import { poll, waitFor } from '../../testbed/waiting';

/** From the examples of the template. */
const ENTITY = 'example-website';

/** A backend in a process of its own. */
export class Portal {
  output = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;

  constructor(
    program: string,
    args: string[],
    cwd: string,
    env: NodeJS.ProcessEnv,
  ) {
    this.#child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group, since Backstage's CLI starts a process of its own.
      detached: true,
    });
    const keep = (chunk: Buffer) => (this.output += chunk.toString());
    this.#child.stdout!.on('data', keep);
    this.#child.stderr!.on('data', keep);
    this.#closed = once(this.#child, 'close');
  }

  /** @throws when the catalog or the search does not know the examples. */
  async check({ url, token }: Address, signal: AbortSignal): Promise<void> {
    const headers = { authorization: `Bearer ${token}` };
    const ask = async (path: string) => {
      const failed = /Unhandled rejection/.test(this.output);
      if (failed || this.#child.exitCode !== null) {
        throw new Error('The backend did not start');
      }
      const response = await fetch(url + path, { headers, signal }).catch(
        () => undefined,
      );
      return response?.ok ? await response.text() : undefined;
    };
    const look = (path: string) => async () =>
      (await ask(path))?.includes(ENTITY) ? undefined : 'not yet';
    const inCatalog = `/api/catalog/entities/by-name/component/default/${ENTITY}`;
    const inSearch = `/api/search/query?term=${ENTITY}`;
    await poll('the catalog', look(inCatalog), signal);
    await poll('the search', look(inSearch), signal);
  }

  /** @throws unless it ends in order. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#kill('SIGTERM');
    const [code] = await waitFor(
      () => 'the end',
      () => this.#closed,
      signal,
    );
    if (code !== 0) throw new Error(`SIGTERM ended with ${String(code)}`);
  }

  /** Leaves nothing behind, whatever has become of it. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null) this.#kill('SIGKILL');
    await this.#closed;
  }

  #kill(signal: NodeJS.Signals): void {
    process.kill(-this.#child.pid!, signal);
  }
}
