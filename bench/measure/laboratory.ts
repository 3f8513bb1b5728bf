import { fork } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { LaboratoryOperations, Reply, Request } from './laboratoryProcess';

export type { Observed, Sample } from './laboratoryProcess';

/** The emulator in another process: each of its operations, from afar. */
export type Laboratory = {
  [Name in keyof LaboratoryOperations]: (
    ...args: Parameters<LaboratoryOperations[Name]>
  ) => Promise<Awaited<ReturnType<LaboratoryOperations[Name]>>>;
};

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const OPERATIONS: (keyof Laboratory)[] = [
  'target',
  'prepare',
  'outage',
  'dropConnections',
  'takeShortcuts',
  'suspend',
  'watch',
  'observed',
  'stop',
];

export async function startLaboratory(): Promise<Laboratory> {
  const child = fork(join(__dirname, 'laboratoryProcess.ts'), {
    execArgv: ['--import', pathToFileURL(require.resolve('tsx')).href],
  });
  const waiting = new Map<number, Waiting>();
  let ids = 0;

  const settle = ({ id, value, error }: Reply) => {
    const caller = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) caller?.resolve(value);
    else caller?.reject(new Error(error));
  };
  child.on('message', (reply: Reply) => settle(reply));
  child.once('exit', () => {
    for (const id of waiting.keys())
      settle({ id, error: 'The emulator ended' });
  });
  const reply = (id: number) =>
    new Promise<unknown>((resolve, reject) =>
      waiting.set(id, { resolve, reject }),
    );
  const call = (operation: keyof Laboratory, args: unknown[]) => {
    const id = ++ids;
    child.send({ id, operation, args } satisfies Request);
    return reply(id);
  };

  await reply(0);
  return Object.fromEntries(
    OPERATIONS.map(operation => [
      operation,
      (...args: unknown[]) => call(operation, args),
    ]),
  ) as unknown as Laboratory;
}
