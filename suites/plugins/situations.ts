import { isEqual } from 'lodash';
import { thenStop } from '../../testbed/waiting';
import { expect } from './check';
import { checkScrubbed, makeCopy } from './copy';
import type { Findings } from './findings';
import { Installation, type DivisionMode } from './installation';
import { Situation, type Bench, type Kept, type Launch } from './situation';

const REPLICAS = ['replica-1', 'replica-2'];

/** How often stock's replicas may start; an orchestrator goes on and on. */
const STOCK_ATTEMPTS = 2;

/** How each attempt to start the replicas, or what was left of them, went. */
export type Attempts = Launch[][];

export interface ModeResults {
  start: Findings;
  restart: Findings;
  copy: Findings;
  replicas: Findings;
  attempts: { stock: Attempts; ours: Attempts };
}

/** All situations in one division mode. */
export async function runMode(
  mode: DivisionMode,
  bench: Bench,
): Promise<ModeResults> {
  const { start, restart, copy } = await startAndRestart(mode, bench);
  const ours = await twoReplicas('ours', mode, bench);
  const stock = await twoReplicas('stock', mode, bench);
  return {
    start,
    restart,
    copy,
    replicas: ours.findings,
    attempts: { stock: stock.attempts, ours: ours.attempts },
  };
}

/** One backend on an empty server, and again on what it left there. */
function startAndRestart(mode: DivisionMode, bench: Bench) {
  return onEmptyServer(mode, bench, async installation => {
    const run = async (name: string, before?: Kept) => {
      const situation = new Situation(installation, bench);
      const kept = await situation.run(async () => {
        const launches = await situation.launch([name], installation.ours);
        failIfAny(launches);
        return situation.use(before);
      });
      return { findings: situation.findings, kept };
    };
    const start = await run('start');
    const restart = await run('restart', start.kept);
    return {
      start: start.findings,
      restart: restart.findings,
      copy: await scrubbedCopy(installation, bench, restart.kept),
    };
  });
}

/** A backend on a copy, of which the branch that it is of notices nothing. */
async function scrubbedCopy(
  production: Installation,
  bench: Bench,
  kept?: Kept,
): Promise<Findings> {
  const before = await production.contents();
  const made = await makeCopy(production);
  const copy = production.on(made.name);
  const situation = new Situation(copy, bench);
  await situation.run(async () => {
    await checkScrubbed(made, copy);
    failIfAny(await situation.launch(['copy'], copy.ours));
    await situation.refuses(kept?.get('auth') as string);
    await situation.use();
  });
  await situation.run(async () => {
    const after = await production.contents();
    expect(isEqual(before, after), 'production to be what it was');
  });
  return situation.findings;
}

/** Two backends that start at the same moment on an empty server. */
function twoReplicas(side: 'stock' | 'ours', mode: DivisionMode, bench: Bench) {
  return onEmptyServer(mode, bench, async installation => {
    const situation = new Situation(installation, bench);
    const attempts: Attempts = [];
    await situation.run(async () => {
      let waiting = REPLICAS;
      const allowed = side === 'ours' ? 1 : STOCK_ATTEMPTS;
      while (waiting.length > 0 && attempts.length < allowed) {
        const launches = await situation.launch(waiting, installation[side]);
        attempts.push(launches);
        waiting = launches.filter(isFailed).map(({ name }) => name);
      }
      if (side === 'stock') return;
      failIfAny(attempts.flat());
      await situation.use();
    });
    return { findings: situation.findings, attempts };
  });
}

async function onEmptyServer<T>(
  mode: DivisionMode,
  bench: Bench,
  work: (installation: Installation) => Promise<T>,
): Promise<T> {
  const installation = await Installation.open(bench.postgres, mode);
  return thenStop(
    () => work(installation),
    () => installation.stop(),
  );
}

const isFailed = ({ failures }: Launch) => failures.length > 0;

function failIfAny(launches: Launch[]): void {
  for (const { name, failures } of launches) {
    for (const { plugin, reason } of failures) {
      throw new Error(`${name} did not start, for ${plugin}: ${reason}`);
    }
  }
}
