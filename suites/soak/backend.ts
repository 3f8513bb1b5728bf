import { stringifyError } from '@backstage/errors';
import {
  type Backend,
  loadBackend,
  startBackend,
  stopBackend,
} from '../../testbed/backend';
import { answerParent } from '../../testbed/answerParent';
import { ledgerPlugin } from './ledgerPlugin';
import { type Pools, watchPools } from './pools';
import { Probes } from './probes';

// The entry of the process that the soak watches: Backstage and nothing else.

export interface Inspection {
  heapBytes: number;
  pools: Pools;
  unhandled: string[];
}

const unhandled: string[] = [];
const note = (error: unknown) => unhandled.push(stringifyError(error));
process.on('unhandledRejection', note);
process.on('uncaughtException', note);

// Ctrl-C reaches this process too, but the parent stops it in its turn.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {});
}

let backend: Backend;
const readPools = watchPools();
const probes = new Probes();

answerParent({
  start: async (configFiles: string[]) => {
    backend = await loadBackend();
    const features = [
      import('@backstage/plugin-notifications-backend'),
      import('@backstage/plugin-user-settings-backend'),
    ];
    for (const feature of features) backend.add(feature);
    for (const feature of probes.features) backend.add(feature);
    backend.add(ledgerPlugin);
    await startBackend(backend, configFiles);
  },
  /** Answers in its turn: what had come in before has been noticed by then. */
  ping: () => {},
  /** Lets nothing else run. */
  block: (ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
  },
  inspect: async (): Promise<Inspection> => {
    // Once more for what the first one has set free to be finalized.
    for (let round = 0; round < 2; round++) gc!();
    const { heapUsed: heapBytes } = process.memoryUsage();
    return { heapBytes, pools: await readPools(), unhandled };
  },
  answering: () => probes.answering(),
  stop: () => stopBackend(backend),
});
