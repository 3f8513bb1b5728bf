import type { Step } from '../../branches/createBranch';
import type { Terminal } from '../terminal';

export interface TakenStep {
  step: string;
  ms: number;
}

/** Shows each step with its time, and keeps them. */
export function showSteps({ error, clock }: Terminal): {
  step: Step;
  taken: TakenStep[];
} {
  const taken: TakenStep[] = [];
  const step: Step = async (name, work) => {
    const begin = clock.monotonic();
    const result = await work();
    const ms = Math.round(clock.monotonic() - begin);
    taken.push({ step: name, ms });
    error(`${(ms / 1_000).toFixed(2).padStart(7)} s  ${name}`);
    return result;
  };
  return { step, taken };
}
