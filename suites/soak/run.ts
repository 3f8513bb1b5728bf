import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chooseAddress } from '../../testbed/backend';
import { type DemoDatabase, openDatabase } from '../../testbed/database';
import { URLS } from '../../testbed/urls';
import { onDeadline } from '../../testbed/signals';
import { poll, thenStop, waitFor } from '../../testbed/waiting';
import type { Emulator } from '../../emulator';
import { Child } from '../../testbed/childProcess';
import type { Inspection } from './backend';
import { Dice } from './dice';
import type { Fault } from './fault';
import { Journal, say } from './journal';
import { Load } from './load';
import { Portal } from './portal';
import { Rows } from './rows';
import { Secrets } from './secrets';
import { strikeUntil } from './strikes';

/** Renewed at half of it. A shorter one could run out within slow logins. */
export const CREDENTIAL_LIFE_MS = 40_000;

/** Until the catalog is read and caches and compiled code are in memory. */
const WARM_UP_MS = 30_000;

/** A credential is renewed twice in it, and every connection replaced. */
const QUIET_MS = CREDENTIAL_LIFE_MS;

/** Slow is no failure here. */
const PATIENCE_MS = 60_000;

/** All that a soak has found. */
export interface Outcome {
  journal: Journal;
  faults: Fault[];
  requests: number;
  acknowledged: number;
  lost: string[];
  minted: number;
  /** Since the workspace was first called. */
  elapsedMs: number;
  logins: number;
  ready: boolean;
  unserved: string[];
  pools: string[];
  /** The pools that do not answer any more. */
  dead: string[];
  waiting: number;
  /** Connections at the gateway that no pool knows of. */
  leaked: number;
  openAfterStop: number;
  unhandled: string[];
  heapGrowthBytes: number;
  secrets: number;
  secretsTold: number;
  logLines: number;
}

export interface SoakOptions {
  minutes: number;
  seed: number;
  /** Where to keep what Backstage says. */
  log?: string;
}

export async function runSoak(
  options: SoakOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  const database = await openDatabase({
    credentialLifeMs: CREDENTIAL_LIFE_MS,
  });
  return thenStop(
    () => runBackend(database, options, signal),
    () => database.stop(),
  );
}

async function runBackend(
  { emulator, configFiles }: DemoDatabase,
  options: SoakOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  const secrets = new Secrets(emulator!);
  const portal = new Portal(await chooseAddress());
  const backend = new Child(join(__dirname, 'backend.ts'), {
    execArgv: ['--expose-gc'],
    env: {
      LOG_LEVEL: 'debug',
      // Lets the probe tell of the credential as well.
      APP_CONFIG_backend_database_lakebase_readiness: 'true',
    },
  });
  const run = async () => {
    const start = () => backend.ask('start', configFiles);
    await waitFor(() => 'Backstage to start', start, signal);
    say('Backstage has started');
    const soak = new Soak({ emulator: emulator!, secrets, backend, portal });
    return soak.run(options, signal);
  };
  return thenStop(run, async () => {
    // Its plugins leave timers behind.
    await backend.kill();
    if (options.log) await writeFile(options.log, backend.output);
  });
}

interface Parts {
  emulator: Emulator;
  secrets: Secrets;
  backend: Child;
  portal: Portal;
}

/** One run, from a backend that has started to one that has stopped. */
class Soak {
  readonly #parts: Parts;
  readonly #journal = new Journal();
  readonly #rows = new Rows();
  readonly #begun = performance.now();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async run(options: SoakOptions, signal: AbortSignal): Promise<Outcome> {
    const { emulator, portal } = this.#parts;
    emulator.gateway.on('refusal', refusal => this.#journal.refused(refusal));
    const load = await Load.start(portal, this.#rows, this.#journal);
    try {
      return await this.#underLoad(load, options, signal);
    } finally {
      load.abandon();
    }
  }

  async #underLoad(
    load: Load,
    { minutes, seed }: SoakOptions,
    signal: AbortSignal,
  ): Promise<Outcome> {
    await sleep(WARM_UP_MS, undefined, { signal });
    const before = await this.#inspect();

    const faults = await strikeUntil(
      this.#begun + minutes * 60_000 - QUIET_MS,
      new Dice(seed),
      this.#parts,
      this.#journal,
      signal,
    );
    say('No more faults: from now on nothing may fail');
    this.#journal.quiet();
    load.mark();
    await sleep(QUIET_MS, undefined, { signal });
    await load.stop();

    return {
      journal: this.#journal,
      faults,
      requests: load.requests,
      unserved: load.unserved,
      ...(await this.#look(before, signal)),
      ...(await this.#stop()),
    };
  }

  /** All is still up, and at rest. */
  async #look({ heapBytes }: Inspection, signal: AbortSignal) {
    const { emulator, portal, backend } = this.#parts;
    const ready = await portal.request(URLS.readiness).then(
      () => true,
      () => false,
    );
    const answering = await backend.ask<string[]>('answering');
    const leaked = await this.#leaked(signal);
    const { pools, heapBytes: heapBytesNow } = await this.#inspect();
    return {
      ready,
      leaked,
      pools: pools.names,
      dead: pools.names.filter(name => !answering.includes(name)),
      waiting: pools.waiting,
      heapGrowthBytes: heapBytesNow - heapBytes,
      acknowledged: this.#rows.acknowledged,
      lost: await this.#rows.lost(emulator),
    };
  }

  async #stop() {
    const { emulator, backend, secrets } = this.#parts;
    const minted = secrets.credentials.length;
    const elapsedMs = Date.now() - emulator.controlPlane.calls[0].at;
    await backend.ask('stop');
    await this.#drained();
    const { unhandled } = await this.#inspect();
    const told = [backend.output, ...this.#journal.failures].join('\n');
    return {
      minted,
      elapsedMs,
      logins: emulator.gateway.logins.length,
      openAfterStop: emulator.gateway.openConnections,
      unhandled,
      secrets: secrets.count,
      secretsTold: secrets.countIn(told),
      logLines: backend.output.split('\n').length,
    };
  }

  /** Some may be on their way in or out: a leak stays. */
  async #leaked(signal: AbortSignal): Promise<number> {
    let leaked = 0;
    const look = async () => {
      const { pools } = await this.#inspect();
      leaked = this.#parts.emulator.gateway.openConnections - pools.open;
      return leaked === 0 ? undefined : `${leaked} that no pool knows of`;
    };
    await poll(
      'connections to belong to pools',
      look,
      AbortSignal.any([signal, onDeadline(PATIENCE_MS)]),
    ).catch(error => {
      if (signal.aborted) throw error;
    });
    return leaked;
  }

  /** What is still open after that is counted. */
  async #drained(): Promise<void> {
    const patience = sleep(PATIENCE_MS, undefined, { ref: false });
    await Promise.race([this.#parts.emulator.gateway.drained(), patience]);
  }

  #inspect(): Promise<Inspection> {
    return this.#parts.backend.ask('inspect');
  }
}
