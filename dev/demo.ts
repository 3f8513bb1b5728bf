import { once } from 'node:events';
import {
  Address,
  Backend,
  chooseAddress,
  loadBackend,
  startBackend,
  stopBackend,
} from '../testbed/backend';
import { checkBackstage, checkPostgres, checkRotations } from './checks';
import { DemoDatabase, openDatabase } from '../testbed/database';
import { curlLines, Finding, say, table } from './report';
import { reportRotations } from './rotations';
import { onDeadline, onInterruption } from '../testbed/signals';
import { thenStop, waitFor } from '../testbed/waiting';

/** Short enough to watch, against the hour of the platform. */
const CREDENTIAL_LIFE_MS = 60_000;

/** Renewed at half of it, so that two rotations take 20 s. */
const CREDENTIAL_LIFE_ONCE_MS = 20_000;

/** Several times what a slow machine takes. */
const DEADLINE_MS = 4 * 60_000;

/** Runs the demo until Ctrl-C. */
export async function runUntilInterrupted(): Promise<void> {
  const backend = await loadBackend();
  // Only now is there something to stop.
  const signal = onInterruption();
  const show = async (_: DemoDatabase, address: Address) => {
    say(`Backstage is ready, Ctrl-C ends it.\n\n${curlLines(address)}\n`);
    if (!signal.aborted) await once(signal, 'abort');
  };
  await run(backend, CREDENTIAL_LIFE_MS, show, signal).catch(error => {
    const early = signal.aborted && (error as Error).cause === signal.reason;
    if (!early) throw error;
  });
  say('All has stopped');
}

/**
 * Runs the demo until everything has been checked.
 *
 * @throws with what is missing.
 */
export async function runOnce(): Promise<void> {
  const begun = performance.now();
  const backend = await loadBackend();
  const signal = AbortSignal.any([onInterruption(), onDeadline(DEADLINE_MS)]);
  const check = async ({ emulator }: DemoDatabase, address: Address) => {
    const findings = await checkBackstage(address, signal);
    if (!emulator) return [...findings, ROTATION_NOT_CHECKED];
    const rotations = await checkRotations(emulator, signal);
    return [
      // Once more, for the credential that the first time went by is over.
      ...(await checkBackstage(address, signal)),
      ...(await checkPostgres(emulator)),
      ...rotations,
    ];
  };
  const findings = await run(backend, CREDENTIAL_LIFE_ONCE_MS, check, signal);
  const seconds = ((performance.now() - begun) / 1000).toFixed(0);
  findings.push(['time', `${seconds} s`]);
  say(`All is well, and has stopped.\n\n${table(findings)}\n`);
}

/** A real credential outlives every deadline. */
const ROTATION_NOT_CHECKED: Finding = [
  'credentials',
  'the first one logs in; its end, in an hour, was not waited for',
];

async function run<T>(
  backend: Backend,
  credentialLifeMs: number,
  use: (database: DemoDatabase, address: Address) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const database = await openDatabase({ credentialLifeMs });
  const withDatabase = async () => {
    say(`The database is ${database.title}`);
    if (database.emulator) {
      // Not awaited: it ends with the process, and has nothing to fail at.
      void reportRotations(database.emulator, credentialLifeMs);
    }
    const address = await chooseAddress();
    const start = () => startBackend(backend, database.configFiles);
    const withBackend = async () => {
      await waitFor(() => 'Backstage to start', start, signal);
      return use(database, address);
    };
    return thenStop(withBackend, () => stopBackend(backend));
  };
  return thenStop(withDatabase, () => database.stop());
}
