import { randomUUID } from 'node:crypto';
import { delay } from '../delay';
import { ApiError } from './apiError';

const TYPE = 'type.googleapis.com/databricks.postgres.v1.';

/** What becomes of something that takes longer than a call. */
interface Operation {
  name: string;
  done: boolean;
  metadata: { '@type': string };
  response?: object;
  error?: { error_code: string; message: string; details: object[] };
}

/** Whatever changes something answers with one of these, to be asked for again. */
export class Operations {
  /** How long each takes beyond its work. */
  latencyMs = 0;
  /** How long each took that has ended. */
  readonly tookMs: number[] = [];
  readonly #operations = new Map<string, Operation>();
  readonly #running = new Set<Promise<void>>();
  #failures: string[] = [];

  /** Lets the next one fail, with this text. */
  failNext(message: string): void {
    this.#failures.push(message);
  }

  /**
   * Begins `work`, which resolves with the resource that it is about, or with
   * nothing where that is gone; `undo` follows a failure.
   */
  start(
    resource: string,
    kind: 'Branch' | 'Endpoint' | 'Catalog',
    work: () => Promise<object | void>,
    undo: () => void = () => {},
  ): object {
    const name = `${resource}/operations/${randomUUID()}`;
    const metadata = { '@type': `${TYPE}${kind}OperationMetadata` };
    const begin = performance.now();
    const operation: Operation = { name, done: false, metadata };
    this.#operations.set(name, operation);
    const running = this.#finish(operation, kind, work).catch(error => {
      undo();
      const message = (error as Error).message;
      const error_code = 'INTERNAL_ERROR';
      operation.error = { error_code, message, details: [] };
      operation.done = true;
    });
    this.#running.add(running);
    void running.then(() => {
      this.tookMs.push(performance.now() - begin);
      this.#running.delete(running);
    });
    return { ...operation };
  }

  read(name: string): object {
    const operation = this.#operations.get(name);
    if (!operation) throw new ApiError(404, 'operation id not found');
    return operation;
  }

  /** Resolves when none is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #finish(
    operation: Operation,
    kind: string,
    work: () => Promise<object | void>,
  ): Promise<void> {
    const failure = this.#failures.shift();
    await delay(this.latencyMs);
    if (failure !== undefined) throw new Error(failure);
    const result = await work();
    operation.response = result
      ? { '@type': `${TYPE}${kind}`, ...result }
      : { '@type': 'type.googleapis.com/google.protobuf.Empty' };
    operation.done = true;
  }
}
