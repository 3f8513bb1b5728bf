import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

interface Reply {
  id: number;
  value?: unknown;
  error?: string;
}

export interface ChildOptions {
  args?: string[];
  execArgv?: string[];
  env?: NodeJS.ProcessEnv;
}

/** A process of its own, which does what it is asked to. */
export class Child {
  readonly process: ChildProcess;
  /** Its exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  #output = '';
  #asked = 0;

  /** Forks the file at this path. */
  constructor(
    entry: string,
    { args = [], execArgv = [], env = {} }: ChildOptions = {},
  ) {
    this.process = fork(entry, args, {
      execArgv: ['--import', 'tsx', ...execArgv],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const keep = (chunk: Buffer) => (this.#output += chunk.toString());
    this.process.stdout!.on('data', keep);
    this.process.stderr!.on('data', keep);
    this.ended = once(this.process, 'close').then(
      ([code, signal]) => (code ?? signal) as number | string,
    );
  }

  /** All that it has said up to now. */
  get output(): string {
    return this.#output;
  }

  /** @throws when it cannot do so, or ends before it has. */
  async ask<T>(command: string, ...args: unknown[]): Promise<T> {
    this.#asked += 1;
    const id = this.#asked;
    const reply = this.#reply(id);
    this.process.send({ id, command, args });
    const { value, error } = await Promise.race([
      reply,
      this.ended.then(code => {
        throw new Error(`The process ended (${code}): ${this.#output}`);
      }),
    ]);
    if (error !== undefined) throw new Error(error);
    return value as T;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  #reply(id: number): Promise<Reply> {
    return new Promise(resolve => {
      const listen = (reply: Reply) => {
        if (reply.id !== id) return;
        this.process.off('message', listen);
        resolve(reply);
      };
      this.process.on('message', listen);
    });
  }
}
