import { thenStop } from '../../testbed/waiting';
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
  replicas: Findings;
  attempts: { stock: Attempts; ours: Attempts };
}

/** All situations in one division mode. */
export async function runMode(
  mode: DivisionMode,
  bench: Bench,
): Promise<ModeResults> {
  const { start, restart } = await startAndRestart(mode, bench);
  const ours = await twoReplicas('ours', mode, bench);
  const stock = await twoReplicas('stock', mode, bench);
  return {
    start,
    restart,
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
    return { start: start.findings, restart: restart.findings };
  });
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
